"""The supervisor's parent: waits for its end, however it ends, and leaves nothing behind.

The kernel tells each component that the supervisor is gone (PR_SET_PDEATHSIG), and gives them all to the guard (it is a
"child subreaper", prctl(2)), which therefore knows when the last of them has ended, and ends those that hang.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from kubelab.home import Home

from . import pids

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
PATIENCE = 10.0  # seconds that components have for an orderly end
POLL = 0.02


def become_subreaper() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def watch(supervisor: int, home: Home) -> int:
    """Wait for the supervisor, then for what it left, then remove their files. The supervisor's exit code."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda received, _: _pass_on(supervisor, received))
    while True:
        pid, status = os.wait()
        if pid == supervisor:
            break
    _reap(time.monotonic() + PATIENCE)
    sweep(home)
    return os.waitstatus_to_exitcode(status)


def sweep(home: Home) -> None:
    """End what pid files still name, and remove pid files and sockets. For when nobody else is there to do it."""
    for path in home.run.glob("*.pid"):
        process = pids.read(path)
        if process is not None and process.pid != os.getpid():
            _end(process)
        path.unlink(missing_ok=True)
    for path in home.path.glob("*.sock"):
        path.unlink(missing_ok=True)


def _pass_on(supervisor: int, signum: int) -> None:
    try:
        os.kill(supervisor, signum)
    except ProcessLookupError:
        return


def _reap(deadline: float) -> None:
    """Collect orphans until there are none; after the deadline, kill them."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid:
            continue
        if time.monotonic() > deadline:
            for child in _children(os.getpid()):
                os.kill(child, signal.SIGKILL)
        time.sleep(POLL)


def _end(process: pids.ProcessId, patience: float = 3.0) -> None:
    process.signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    while process.alive():
        if time.monotonic() > deadline:
            process.signal(signal.SIGKILL)
        time.sleep(POLL)


def _children(parent: int) -> Iterator[int]:
    """The processes whose parent is `parent` (a killed child's own children become ours, and are next)."""
    for task in Path(f"/proc/{parent}/task").glob("*/children"):
        yield from map(int, task.read_text().split())
