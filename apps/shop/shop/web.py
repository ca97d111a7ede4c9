"""The shop's web server: a bounded number of worker threads, and JSON in and out.

    GET  /, /healthz, /readyz         who answers, with which features, and how much memory it holds
    POST /fault/FEATURE/NAME          break one feature: crash | deadlock | error | slow | leak | recover
    *    /FEATURE[/…]                 the features themselves

The workers are what the features of one process share: when one feature keeps all of them waiting, none is left.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .faults import FeatureFailed
from .features import Answer, BadRequest, Feature
from .peers import PeerFailed

WORKERS = 8  # requests at once; the next one waits in the kernel's queue
BODY_LIMIT = 64 * 1024  # bytes


class Server(TCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], features: dict[str, Feature]) -> None:
        self.features = features
        self.free_workers = threading.BoundedSemaphore(WORKERS)
        super().__init__(address, Handler)

    def process_request(self, request: socket.socket, client_address: Any) -> None:
        self.free_workers.acquire()
        threading.Thread(target=self._serve_one, args=(request, client_address), daemon=True).start()

    def _serve_one(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError as error:  # the client went away
            print(f"connection lost: {error}", flush=True)
        finally:
            self.shutdown_request(request)
            self.free_workers.release()

    def drain(self) -> None:
        """Take no more requests and finish those under way. A deadlocked one is never finished: only SIGKILL helps."""
        self.shutdown()
        for _ in range(WORKERS):
            self.free_workers.acquire()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds a silent client may hold a worker
    server: Server

    def do_GET(self) -> None:
        self._respond("GET", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_LIMIT:
            return self._answer(413, {"error": f"the body may have {BODY_LIMIT} bytes"})
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
        except ValueError as error:
            return self._answer(400, {"error": f"the body is not JSON: {error}"})
        if not isinstance(body, dict):
            return self._answer(400, {"error": "the body must be a JSON object"})
        self._respond("POST", body)

    def _respond(self, method: str, body: dict[str, Any]) -> None:
        url = urlsplit(self.path)
        first, _, rest = url.path.strip("/").partition("/")
        if first in ("", "healthz", "readyz"):
            self._answer(200, identity(self.server.features))
        elif first == "fault" and method == "POST":
            self._fault(*rest.partition("/")[::2], dict(parse_qsl(url.query)))
        elif feature := self.server.features.get(first):
            self._answer(*ask(feature, method, rest, body))
        else:
            self._answer(
                404, {"error": f"nothing at {url.path} here; this process has {', '.join(self.server.features)}"}
            )

    def _fault(self, name: str, fault: str, options: dict[str, str]) -> None:
        if name not in self.server.features:
            return self._answer(
                404, {"error": f"no feature {name!r} here; this process has {', '.join(self.server.features)}"}
            )
        try:
            effect = self.server.features[name].faults.apply(fault, options)
        except KeyError:
            return self._answer(404, {"error": f"no such fault: {fault}"})
        except ValueError as error:
            return self._answer(400, {"error": f"{fault}: {error}"})
        print(f"fault {fault} in {name}: {effect}", flush=True)
        self._answer(202, {"feature": name, "fault": fault, "effect": effect})
        if fault == "crash":
            self.connection.shutdown(socket.SHUT_WR)
            os._exit(1)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if int(code) >= 500:  # under load every request would be too much to read
            self.log_message("%s %s %s", self.command, self.path, code)

    def log_message(self, format: str, *arguments: Any) -> None:
        print(format % arguments, flush=True)


def ask(feature: Feature, method: str, rest: str, body: dict[str, Any]) -> Answer:
    """A feature's answer, its errors turned into status codes."""
    try:
        return feature.answer(method, rest, body)
    except BadRequest as error:
        return 400, {"error": str(error)}
    except PeerFailed as error:
        return error.status, {"error": str(error)}
    except FeatureFailed as error:
        return 500, {"error": str(error)}


def identity(features: dict[str, Feature]) -> dict[str, Any]:
    """Who answers: pod, process, features, and the resident memory in bytes (0 where /proc cannot tell)."""
    return {
        "app": "shop",
        "version": os.environ.get("VERSION", "1"),
        "pod": os.environ.get("POD_NAME") or socket.gethostname(),
        "pid": os.getpid(),
        "features": list(features),
        "memory_bytes": resident_memory(),
    }


def resident_memory() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
