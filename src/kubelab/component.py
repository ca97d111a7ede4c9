"""What every engine process does alike: die with its owner, say when it is ready, stop when told.

A component is `async def run(component)`; `main(run)` is its whole `__main__`. The supervisor starts it, reads one JSON
line from the descriptor named in `$KUBELAB_READY_FD`, and stops it with SIGTERM. Where `$KUBELAB_GO_FD` is given, the
component begins when a byte can be read from it: it has then done its imports while what it needs was being started.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(signum: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent is gone, however the parent died (Linux).

    Where the parent died before the call, the process ends at once. `$KUBELAB_PARENT` holds the pid that the parent
    had when it started us, because a child of a dead parent already belongs to somebody else.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
    parent = os.environ.get("KUBELAB_PARENT")
    if parent and os.getppid() != int(parent):
        os._exit(1)


class Component:
    """A running engine process: `ready()` once it serves, then `await stopped()`."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()

    def ready(self, **facts: Any) -> None:
        """Tell the supervisor that this component serves, with what it should know (ports, the level found, …)."""
        fd = os.environ.pop("KUBELAB_READY_FD", None)
        if fd is not None:
            with os.fdopen(int(fd), "w") as pipe:
                pipe.write(json.dumps(facts) + "\n")

    def stop(self) -> None:
        self._stop.set()

    async def stopped(self) -> None:
        await self._stop.wait()


def main(run: Callable[[Component], Awaitable[None]]) -> None:
    """Run a component to its end. The log goes to stderr, which the supervisor points at the component's file."""
    level = os.environ.get("KUBELAB_LOG", "INFO")
    logging.basicConfig(level=level, format="%(asctime)s %(levelname).1s %(name)s %(message)s")
    if "KUBELAB_PARENT" in os.environ:
        die_with_parent()
    _wait_for_go()

    async def _run() -> None:
        component = Component()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, component.stop)
        await run(component)

    asyncio.run(_run())


def _wait_for_go() -> None:
    """Block until the supervisor says that what this component needs is ready; end where the supervisor is gone."""
    fd = os.environ.pop("KUBELAB_GO_FD", None)
    if fd is None:
        return
    with os.fdopen(int(fd), "rb") as pipe:
        if not pipe.read(1):
            sys.exit(1)
