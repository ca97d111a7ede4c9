"""A gRPC health server of the standard library alone, for pods: it answers by the service's name.

"" and "up" serve, "down" does not, others are unknown (gRPC status 5). Run with a port: `python3 grpc_health.py 8000`.
"""

import socketserver
import sys


def frame(kind, flags, stream, body=b""):
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def header(name, value):
    """A literal header field without indexing (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


class Health(socketserver.StreamRequestHandler):
    def handle(self):
        if self.rfile.read(24) != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            return
        self.wfile.write(frame(4, 0, 0))
        while head := self.rfile.read(9):
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            body = self.rfile.read(length)
            if kind == 4 and not flags & 1:
                self.wfile.write(frame(4, 1, 0))
            if kind == 0:  # DATA: the request
                self.answer(int.from_bytes(head[5:], "big"), body[7:].decode())

    def answer(self, stream, service):
        status = {"": 1, "up": 1, "down": 2}.get(service)
        self.wfile.write(frame(1, 4, stream, b"\x88" + header(b"content-type", b"application/grpc")))
        if status is not None:
            self.wfile.write(frame(0, 0, stream, b"\0\0\0\0\2\x08" + bytes([status])))
        code = b"0" if status is not None else b"5"
        trailers = header(b"grpc-status", code) + header(b"grpc-message", b"unknown service")
        self.wfile.write(frame(1, 5, stream, trailers))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    Server(("0.0.0.0", int(sys.argv[1])), Health).serve_forever()
