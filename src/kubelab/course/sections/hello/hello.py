import http.server
import os
import socket
import socketserver

GREETING = "You have reached"


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{GREETING} {socket.gethostname()}, process {os.getpid()}\n".encode())


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True


print("listening on port 8080")
Server(("", 8080), Hello).serve_forever()
