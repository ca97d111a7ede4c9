"""The daemon's side of a monitor: forks it, learns that the program started and how it ended, passes on signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kubelab.runtime import monitor, syscalls
from kubelab.runtime.process import StartError
from kubelab.runtime.wire import receive_datagram, send_datagram

KILLED = 128 + signal.SIGKILL


@dataclass(frozen=True)
class Exit:
    code: int
    finished_at: str
    lost: bool = False  # the monitor was killed, and the program with it


def fork(function: Callable[[], None], keep: Iterable[int] = ()) -> int:
    """Run `function` in a child that inherits the standard descriptors and those of `keep`, and nothing else of ours.

    What must not be inherited: the ends of other containers' pipes and of clients' connections, which would stay open.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        syscalls.die_with_parent(signal.SIGKILL)
        gc.disable()  # a collection would write to, and so copy, pages that are shared with the daemon
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        _close_all_but(keep)
        function()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _close_all_but(keep: Iterable[int]) -> None:
    lowest = 3
    for descriptor in sorted(set(keep)):
        os.closerange(lowest, descriptor)
        lowest = descriptor + 1
    os.closerange(lowest, os.sysconf("SC_OPEN_MAX"))


class Supervised:
    """A program under a monitor. `start()` returns when it runs; `exited` is then its `Exit`, once."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.pid = 0  # of the program, as the host sees it
        self.monitor = 0  # the monitor's
        self.started_at = ""
        self.namespaces: dict[str, int] = {}
        self.terminal = -1  # the master; ours to close
        self.exited: asyncio.Future[Exit] = loop.create_future()
        self._started: asyncio.Future[None] = loop.create_future()

    @classmethod
    async def start(cls, launch: monitor.Launch) -> Supervised:
        """Raises StartError where the program cannot be started."""
        self = cls()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.monitor = fork(lambda: monitor.run(launch, theirs), [theirs.fileno(), *launch.descriptors])
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._hear)
        await self._started
        return self

    def signal(self, signum: int) -> None:
        if not self.exited.done():
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has just ended; _hear() will know
                send_datagram(self._control, {"signal": signum})

    def reopen_log(self) -> None:
        """The log file was renamed: write into a new one."""
        if not self.exited.done():
            with contextlib.suppress(OSError):
                send_datagram(self._control, {"reopen": True})

    def _hear(self) -> None:
        received = receive_datagram(self._control)
        message, descriptors = received or ({}, [])
        if "started" in message:
            self.pid, self.started_at, self.namespaces = message["pid"], message["started"], message["namespaces"]
            self.terminal = descriptors[0] if descriptors else -1
            self._started.set_result(None)
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        if not self._started.done():
            self._started.set_exception(StartError(message.get("error", "the container's monitor died")))
        elif message:
            self.exited.set_result(Exit(message["exit_code"], message["finished_at"]))
        else:
            self.exited.set_result(Exit(KILLED, monitor.timestamp(), lost=True))
