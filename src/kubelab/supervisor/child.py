"""One engine process: spawned, held until it may begin, ready, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

from kubelab.home import Home

from . import pids
from .units import Unit

START_TIMEOUT = 60.0  # seconds until it has to be ready
STOP_TIMEOUT = 8.0  # seconds from SIGTERM to SIGKILL
LOG_SIZE = 4 << 20  # bytes after which the next start begins a new log, and keeps one old one
TAIL = 15  # lines of a log that an error shows
STARTED = "--- started"  # heads the lines of one start in a log


class StartError(Exception):
    """A component did not start; the message holds its log's last lines."""


class Child:
    """A unit's process. `facts` is what it said when it was ready."""

    def __init__(self, unit: Unit, home: Home) -> None:
        self.unit, self.home = unit, home
        self.facts: dict[str, Any] | None = None
        self.started_at = 0.0  # seconds since the epoch
        self._process: asyncio.subprocess.Process | None = None
        self._go: int | None = None
        self._ready: asyncio.StreamReader | None = None

    @property
    def pid(self) -> int | None:
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def log(self) -> Path:
        return self.home.log / f"{self.unit.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.home.run / f"{self.unit.name}.pid"

    async def spawn(self) -> None:
        """Start the process; it imports what it needs and waits for `begin()`."""
        go_read, self._go = os.pipe()
        ready_read, ready_write = os.pipe()
        environment = {
            **os.environ,
            "KUBELAB_HOME": str(self.home.path),
            "KUBELAB_PARENT": str(os.getpid()),
            "KUBELAB_GO_FD": str(go_read),
            "KUBELAB_READY_FD": str(ready_write),
        }
        self.facts, self.started_at = None, time.time()
        if self.log.exists() and self.log.stat().st_size > LOG_SIZE:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            log.write(f"{STARTED} {time.strftime('%Y-%m-%d %H:%M:%S')}\n".encode())
            log.flush()
            self._process = await asyncio.create_subprocess_exec(
                *self.unit.argv,
                env=environment,
                pass_fds=(go_read, ready_write),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
            )
        os.close(go_read)
        os.close(ready_write)
        pids.write(self._pid_file, self._process.pid)
        self._ready = await _reader(ready_read)

    def begin(self) -> None:
        """What it needs is ready. Where it has ended meanwhile, `wait_ready()` says so."""
        if self._go is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._go, b"go\n")
            self._close_go()

    async def wait_ready(self) -> dict[str, Any]:
        """Until it serves. StartError where it ends first, or takes longer than START_TIMEOUT."""
        assert self._ready is not None, "spawn() comes first"
        try:
            line = await asyncio.wait_for(self._ready.readline(), START_TIMEOUT)
        except TimeoutError:
            raise StartError(f"{self.unit.name} was not ready after {START_TIMEOUT:.0f} s.\n{self.tail()}") from None
        if not line:
            code = await self.wait()
            raise StartError(f"{self.unit.name} ended ({describe(code)}) before it was ready.\n{self.tail()}")
        self.facts = json.loads(line)
        return self.facts

    async def wait(self) -> int:
        """Until it ends: the exit code, or minus the signal's number."""
        assert self._process is not None, "spawn() comes first"
        code = await self._process.wait()
        self._close_go()
        self._pid_file.unlink(missing_ok=True)
        return code

    def signal(self, signum: int) -> None:
        if self.pid is not None and self._process is not None:
            self._process.send_signal(signum)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after STOP_TIMEOUT."""
        if self.pid is None:
            return
        self._process.send_signal(signal.SIGTERM)  # type: ignore[union-attr]
        try:
            await asyncio.wait_for(self.wait(), STOP_TIMEOUT)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        if self.pid is not None:
            self._process.kill()  # type: ignore[union-attr]
            await self.wait()

    def tail(self) -> str:
        """The last lines of its log, since it was started, indented, under a line that says where the rest is."""
        lines: deque[str] = deque(maxlen=TAIL)
        with self.log.open(errors="replace") as log:
            for line in log:
                lines.append(line)
                if line.startswith(STARTED):
                    lines.clear()
        return f"The end of {self.log}:\n" + "".join(f"  {line}" for line in lines).rstrip()

    def _close_go(self) -> None:
        if self._go is not None:
            os.close(self._go)
            self._go = None


def describe(code: int) -> str:
    """An exit code in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader
