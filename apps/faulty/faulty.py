"""A web server that fails on request, in each of the ways that a cluster has to tell apart.

    GET  /          who answers: pod, process, how many requests it has served
    GET  /healthz   the liveness probe's question; it goes through the same work as every other request
    GET  /readyz    the readiness probe's question
    POST /fault/NAME   crash | deadlock | error | slow?seconds=3 | leak?mebibytes=256 | fill | unready | recover

Each fault is a real one: the crash ends the process, the deadlock is two threads that hold each other's lock, the leak
is memory that was written to, `fill` is a file that takes all the room in the data folder. Settings, all from the
environment: PORT, HOST, VERSION, DATA_DIR and DATA_LIMIT (see Disk), and for the start START_DELAY (seconds of work
before it listens) and START_FAILURE=crash.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer
from urllib.parse import parse_qsl, urlsplit

MEBIBYTE = 1024 * 1024
WORKERS = 16  # requests at once; the next one waits in the kernel's queue, as with any server that has a limit
LEAK_LIMIT = 512  # mebibytes: a leak without a memory limit must not take the student's machine with it


class Disk:
    """The data folder, DATA_DIR, that each request writes a line to. It is full when the system says so (ENOSPC), or
    when the folder holds DATA_LIMIT mebibytes: a quota of the program's own, for volumes that have none."""

    def __init__(self, folder: str, limit: int) -> None:
        self.ledger, self.filler, self.limit = Path(folder, "ledger"), Path(folder, "filler"), limit * MEBIBYTE

    def write(self) -> None:
        """OSError: there is no room."""
        if self.filler.exists() and self.filler.stat().st_size >= self.limit:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.filler.exists():  # only a disk that somebody fills is worth a write for each request
            with self.ledger.open("ab") as ledger:
                ledger.write(b".")

    def fill(self) -> None:
        with self.filler.open("ab") as filler:
            while filler.tell() < self.limit:
                filler.write(bytes(MEBIBYTE))


class Work:
    """What every request has to pass through, and the ways to break it."""

    def __init__(self) -> None:
        self.ledger, self.stock = threading.Lock(), threading.Lock()
        self.failing, self.ready, self.delay = False, True, 0.0
        self.served = 0
        self.leaked: list[bytearray] = []
        self.disk = Disk(os.environ.get("DATA_DIR", "."), int(os.environ.get("DATA_LIMIT", "16")))

    def do(self) -> None:
        """One request's work. RuntimeError while `error` is on, OSError on a full disk; no return after a deadlock."""
        with self.ledger:
            self.served += 1
        self.disk.write()
        if self.delay:
            time.sleep(self.delay)
        if self.failing:
            raise RuntimeError("told to fail")

    def deadlock(self) -> None:
        """Two threads take the same two locks in opposite order: each holds the one that the other waits for."""
        both_hold_one = threading.Barrier(3)

        def take(first: threading.Lock, second: threading.Lock) -> None:
            with first:
                both_hold_one.wait()
                with second:
                    raise AssertionError("unreachable: the other thread never lets go")

        for locks in ((self.ledger, self.stock), (self.stock, self.ledger)):
            threading.Thread(target=take, args=locks, daemon=True).start()
        both_hold_one.wait(timeout=5)

    def leak(self, mebibytes: int) -> None:
        """Keep that much memory for good, 4 MiB at a time so that the growth can be watched."""

        def grow() -> None:
            for _ in range(0, min(mebibytes, LEAK_LIMIT), 4):
                self.leaked.append(bytearray(b"x" * (4 * MEBIBYTE)))
                time.sleep(0.05)

        threading.Thread(target=grow, daemon=True).start()

    def break_it(self, fault: str, options: dict[str, str]) -> str:
        """Apply a fault and say what will happen. KeyError: there is no such fault."""
        if fault == "crash":
            return "the process ends now, with exit code 1"  # by the caller, once the answer is out
        if fault == "deadlock":
            self.deadlock()
            return "no request will be answered any more"
        if fault == "error":
            self.failing = True
            return "every request is answered with 500 from now on"
        if fault == "slow":
            self.delay = min(float(options.get("seconds", 3)), 60.0)
            return f"every request takes {self.delay:g} seconds from now on"
        if fault == "leak":
            mebibytes = min(int(options.get("mebibytes", 256)), LEAK_LIMIT)
            self.leak(mebibytes)
            return f"{mebibytes} MiB are being leaked"
        if fault == "fill":
            try:
                self.disk.fill()
            except OSError as error:  # the disk ended before the program's own limit
                say(f"fill: {error.strerror}")
            return "no space is left in the data folder"
        if fault == "unready":
            self.ready = False
            return "alive, but not ready for requests"
        if fault == "recover":
            self.failing, self.ready, self.delay = False, True, 0.0
            return "error, slow and unready are over; a deadlock or a leak cannot be undone from outside"
        raise KeyError(fault)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds a silent client may hold a worker
    server: Server

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path not in ("/", "/healthz", "/readyz"):
            return self.answer(404, {"error": f"no such page: {path}"})
        try:
            self.server.work.do()
        except (RuntimeError, OSError) as error:
            return self.answer(500, {"error": str(error), **self.server.identity()})
        if path == "/readyz" and not self.server.work.ready:
            return self.answer(503, {"error": "not ready", **self.server.identity()})
        self.answer(200, {**self.server.identity(), "served": self.server.work.served})

    def do_POST(self) -> None:
        self.rfile.read(min(int(self.headers.get("Content-Length") or 0), MEBIBYTE))
        url = urlsplit(self.path)
        if not url.path.startswith("/fault/"):
            return self.answer(404, {"error": f"no such page: {url.path}"})
        fault = url.path.removeprefix("/fault/")
        try:
            effect = self.server.work.break_it(fault, dict(parse_qsl(url.query)))
        except KeyError:
            return self.answer(404, {"error": f"no such fault: {fault}"})
        except ValueError as error:
            return self.answer(400, {"error": f"{fault}: {error}"})
        say(f"fault {fault}: {effect}")
        self.answer(202, {"fault": fault, "effect": effect, **self.server.identity()})
        if fault == "crash":
            self.connection.shutdown(socket.SHUT_WR)
            os._exit(1)

    def answer(self, status: int, body: dict) -> None:
        data = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if "kube-probe" not in self.headers.get("User-Agent", ""):  # probes would fill the log
            say(f"{self.command} {self.path} {code}")

    def log_message(self, format: str, *arguments: object) -> None:
        say(format % arguments)


class Server(TCPServer):
    """One thread a request, WORKERS of them at most: when all hang, the server accepts nothing more."""

    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int]) -> None:
        self.work = Work()
        self.free_workers = threading.BoundedSemaphore(WORKERS)
        super().__init__(address, Handler)

    def process_request(self, request: socket.socket, client_address: tuple) -> None:
        self.free_workers.acquire()
        threading.Thread(target=self.serve_one, args=(request, client_address), daemon=True).start()

    def serve_one(self, request: socket.socket, client_address: tuple) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError as error:  # the client went away
            say(f"connection lost: {error}")
        finally:
            self.shutdown_request(request)
            self.free_workers.release()

    def identity(self) -> dict:
        return {
            "app": "faulty",
            "version": os.environ.get("VERSION", "1"),
            "pod": os.environ.get("POD_NAME") or socket.gethostname(),
            "pid": os.getpid(),
        }

    def drain(self) -> None:
        """Take no more requests and finish those under way. A deadlocked one is never finished: only SIGKILL helps."""
        self.shutdown()
        for _ in range(WORKERS):
            self.free_workers.acquire()


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    if os.environ.get("START_FAILURE") == "crash":
        sys.exit("cannot start: START_FAILURE=crash")
    told_to_stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: told_to_stop.set())
    if delay := float(os.environ.get("START_DELAY", "0")):
        say(f"starting, which takes {delay:g} seconds")
        if told_to_stop.wait(delay):
            return
    server = Server((os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(f"listening on {server.server_address[0]}:{server.server_address[1]}")
    told_to_stop.wait()
    say("SIGTERM: finishing the requests under way")
    server.drain()
    say("bye")


if __name__ == "__main__":
    main()
