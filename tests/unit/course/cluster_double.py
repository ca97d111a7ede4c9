"""An API server of one kind: it lists and watches pods, and passes requests to a pod's proxy on to a function.

For what a real one does rarely: to be away, to come back, to have forgotten a revision.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes import client


def pod(name: str, phase: str = "Running", ready: bool = True, restarts: int = 0, **state: Any) -> dict[str, Any]:
    """A pod with one container, as the API server would show it. `state` is the container's, running by default."""
    return {
        "metadata": {"name": name, "namespace": "lab", "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c"}], "nodeName": "node-1"},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [
                {
                    "name": "c",
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state or {"running": {}},
                    "lastState": {},
                }
            ],
        },
    }


class ClusterDouble:
    """Pods by name, changed with `put` and `drop`. `gone` makes the next watch answer 410."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[int, str, dict[str, Any]]] = []
        self.revision, self.lists, self.gone = 1, 0, False
        self.changed = threading.Condition()
        self.proxied: list[tuple[str, str]] = []
        self.port = 0
        self.start()

    def start(self) -> None:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                double.serve(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                double.serve(self)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port, self.up = self.server.server_address[1], True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Be away: close the port, and end the watches."""
        self.up = False
        with self.changed:
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def api(self) -> client.ApiClient:
        return client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{self.port}"))

    def put(self, obj: dict[str, Any]) -> None:
        name = obj["metadata"]["name"]
        self._record("MODIFIED" if name in self.pods else "ADDED", obj)
        self.pods[name] = obj

    def drop(self, name: str) -> None:
        self._record("DELETED", self.pods.pop(name))

    def _record(self, kind: str, obj: dict[str, Any]) -> None:
        with self.changed:
            self.revision += 1
            obj["metadata"]["resourceVersion"] = str(self.revision)
            self.log.append((self.revision, kind, json.loads(json.dumps(obj))))
            self.changed.notify_all()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        if not self.up:  # a connection that was kept open
            handler.close_connection = True
            return
        url = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if "/proxy/" in url.path:
            self.proxied.append((handler.command, url.path.partition("/proxy/")[2]))
            self._send(handler, 202, {"fault": "taken"})
        elif not url.path.endswith("/pods") and query.get("watch", "").lower() == "true":
            self._watch(handler, self.revision, float(query.get("timeoutSeconds", 5)), quiet=True)
        elif not url.path.endswith("/pods"):
            self._send(handler, 200, {"items": [], "metadata": {"resourceVersion": str(self.revision)}})
        elif query.get("watch", "").lower() != "true":
            self.lists += 1
            self._send(
                handler, 200, {"items": list(self.pods.values()), "metadata": {"resourceVersion": str(self.revision)}}
            )
        else:
            self._watch(handler, int(query["resourceVersion"]), float(query.get("timeoutSeconds", 5)))

    def _send(self, handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _watch(self, handler: BaseHTTPRequestHandler, after: int, seconds: float, quiet: bool = False) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            for event in self._events(after, seconds, quiet):
                if quiet:
                    continue
                line = json.dumps(event).encode() + b"\n"
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            return  # the client has seen enough

    def _events(self, after: int, seconds: float, quiet: bool) -> Iterator[dict[str, Any]]:
        if self.gone and not quiet:
            self.gone = False
            yield {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old", "metadata": {}}}
            return
        deadline = time.monotonic() + seconds
        place = sum(revision <= after for revision, *_ in self.log)
        while self.up and (left := deadline - time.monotonic()) > 0:
            with self.changed:
                if place == len(self.log):
                    self.changed.wait(left)
            while place < len(self.log):
                _, kind, obj = self.log[place]
                place += 1
                yield {"type": kind, "object": obj}
