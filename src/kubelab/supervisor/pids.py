"""Pid files that hold the start time too, so that a pid which the kernel has given to somebody else is not killed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessId:
    """A process, named for ever: `started` is clock ticks since boot (Linux), else seconds since the epoch."""

    pid: int
    started: float

    def alive(self) -> bool:
        """Whether this very process runs. A zombie, which only waits to be collected, does not."""
        return _started(self.pid) == self.started

    def signal(self, signum: int) -> bool:
        """Signal this very process. False where it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            return False
        return True


def identify(pid: int) -> ProcessId:
    return ProcessId(pid, _started(pid) or 0.0)


def write(path: Path, pid: int) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(asdict(identify(pid))) + "\n")
    beside.replace(path)


def read(path: Path) -> ProcessId | None:
    """The process of a pid file, if it still runs."""
    try:
        process = ProcessId(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return process if process.alive() else None


def _started(pid: int) -> float | None:
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else float(fields[19])  # field 22 of proc(5); the name may hold blanks
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
