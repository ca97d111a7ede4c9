"""Start one of the apps as its container would, on a free port, and talk to it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

APPS = Path(__file__).parents[3] / "apps"


class Program:
    """A running app: `get`, `post`, and what became of the process. A context manager that leaves nothing running."""

    def __init__(self, app: str, *command: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", *command],
            cwd=APPS / app,
            env={"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": "0", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.port = 0

    def __enter__(self) -> Program:
        for line in self.process.stdout:
            self.lines.append(line)
            if "listening on" in line:
                self.port = int(line.rsplit(":", 1)[1])
                break
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self, method: str, path: str, body: dict | None = None, timeout: float = 5
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def get(self, path: str, timeout: float = 5) -> tuple[int, dict[str, Any]]:
        return self.request("GET", path, timeout=timeout)

    def post(self, path: str, body: dict | None = None, timeout: float = 5) -> tuple[int, dict[str, Any]]:
        return self.request("POST", path, body, timeout)
