"""The monitor: one small process a container (or exec), between the daemon and the container's first process.

It is what conmon and containerd's shim are upstream. It enters the sandbox, forks the first process, copies its output
into the log, passes signals on, waits, and tells the daemon how it ended. It ends with the daemon, and the container
ends with it: the first process is killed with its parent, and the kernel kills a PID namespace with its first process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from kubelab.runtime import cgroups, proc, process, syscalls
from kubelab.runtime.cgroups import Cgroup
from kubelab.runtime.logs import LogWriter, timestamp
from kubelab.runtime.wire import receive_datagram, send_datagram

NAMESPACES = ("net", "ipc", "uts", "pid", "mnt", "user")
_FLUSH_AFTER = 50  # milliseconds without output, after which an unfinished line is written
_DRAIN = 0.2  # seconds for output that is still in the pipes when the first process has ended
_CHUNK = 65536


@dataclass(frozen=True)
class Launch:
    """What a monitor starts, and how. The functions are called in forked children; an isolation level makes them."""

    enter: Callable[[], None]  # in the monitor: join the sandbox's namespaces, unshare
    isolate: Callable[[], None]  # in the first process: file system
    execute: Callable[[], NoReturn]  # in the first process: become the program
    sweep: Callable[[dict[str, int]], None]  # in the monitor: end what outlived the first process (its namespaces)
    cgroup: Cgroup | None = None  # for the first process and what it starts; the monitor stays outside
    joins: bool = False  # a further process: the container, and its cgroup, are another monitor's
    init: bool = False  # the first process is an init, the program its child
    tty: bool = False
    log_path: str | None = None  # where output goes that `stdout` and `stderr` do not take; "" drops it, None leaves it
    log_max_bytes: int = 0
    log_max_files: int = 1
    stdin: int | None = None  # descriptors given by the caller; None is /dev/null, or the log
    stdout: int | None = None
    stderr: int | None = None

    @property
    def descriptors(self) -> list[int]:
        return [each for each in (self.stdin, self.stdout, self.stderr) if each is not None]


def run(launch: Launch, control: socket.socket) -> None:
    """The monitor's whole life. `control` is its connection to the daemon: messages as in `Monitor`."""
    os.setsid()
    monitor = Monitor(launch, control)
    signal.signal(signal.SIGTERM, monitor.abandon)
    syscalls.die_with_parent(signal.SIGTERM)
    try:
        monitor.open_cgroup()
        launch.enter()
        monitor.start()
    except (OSError, process.StartError) as error:
        monitor.tell(error=str(error))
        return
    monitor.watch()


class Monitor:
    """To the daemon: {"error"} | {"started", "pid", "namespaces"} with the terminal's master attached, then
    {"exit_code", "finished_at"}. From the daemon: {"signal"}, {"reopen"} (the log was renamed); its end means that it
    is gone."""

    def __init__(self, launch: Launch, control: socket.socket) -> None:
        self._launch, self._control = launch, control
        self._pid = 0
        self._outputs: dict[int, str] = {}
        self._terminal = -1
        self._namespaces: dict[str, int] = {}
        self._proc = os.open("/proc", os.O_PATH)  # the host's view; exec's monitor soon sees the container's
        self._log = LogWriter(launch.log_path or "", launch.log_max_bytes, launch.log_max_files)
        self._cgroup: list[int] = []

    def tell(self, descriptors: tuple[int, ...] = (), **message: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            send_datagram(self._control, message, descriptors)

    def abandon(self, *_: object) -> NoReturn:
        """The daemon is gone: take the container down and end."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._launch.sweep(self._namespaces)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        if self._launch.cgroup and not self._launch.joins:
            self._launch.cgroup.remove_soon()
        os._exit(1)

    def open_cgroup(self) -> None:
        """While its file system can still be seen."""
        if self._launch.cgroup:
            self._cgroup = self._launch.cgroup.open()

    def start(self) -> None:
        """Fork the first process and return when it is the program. Raises StartError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stdio, ends = self._stdio()
        self._pid = os.fork()
        if self._pid == 0:
            self._become_program(theirs, stdio)
        theirs.close()
        for descriptor in set(stdio) | set(self._launch.descriptors) | set(self._cgroup):
            os.close(descriptor)
        self._await_program(ours)
        self._outputs |= ends
        terminal = (self._terminal,) if self._launch.tty else ()
        program = self._program()
        self._namespaces = namespaces(program, self._proc)
        self.tell(terminal, started=timestamp(), pid=program, namespaces=self._namespaces)

    def _program(self) -> int:
        """The first process, or below an init its child: the init lets nobody look at it, nor join it."""
        below = proc.children(self._pid, self._proc) if self._launch.init else []
        return below[0] if below else self._pid

    def _stdio(self) -> tuple[tuple[int, ...], dict[int, str]]:
        """The program's three descriptors, and our ends of those that go into the log."""
        if self._launch.tty:
            return (), {}
        given, ends = [self._launch.stdin, self._launch.stdout, self._launch.stderr], {}
        if given[0] is None:
            given[0] = os.open("/dev/null", os.O_RDONLY)
        for number, stream in ((1, "stdout"), (2, "stderr")):
            if given[number] is None:
                reader, given[number] = os.pipe()
                ends[reader] = stream
        return tuple(given), ends

    def _become_program(self, report: socket.socket, stdio: tuple[int, ...]) -> NoReturn:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            syscalls.die_with_parent(signal.SIGKILL)
            os.setsid()
            cgroups.enter(self._cgroup)
            self._launch.isolate()
            if self._launch.tty:
                send_datagram(report, {}, [process.take_terminal()])
            else:
                process.use_stdio(*stdio)
            self._launch.execute()
        except BaseException as error:
            send_datagram(report, {"error": str(error) or repr(error)})
        os._exit(127)

    def _await_program(self, report: socket.socket) -> None:
        """The report's other end closes on a successful execve."""
        with report:
            while received := receive_datagram(report):
                message, descriptors = received
                if "error" in message:
                    os.waitpid(self._pid, 0)
                    raise process.StartError(message["error"])
                (self._terminal,) = descriptors
                if self._launch.log_path is not None:
                    self._outputs[self._terminal] = "stdout"

    def watch(self) -> None:
        """Until the first process has ended and its output is written."""
        ended = os.pidfd_open(self._pid)
        poll = select.poll()
        for descriptor in (*self._outputs, ended, self._control.fileno()):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = dict(poll.poll(_FLUSH_AFTER if self._log.pending else None))
            if not ready:
                self._log.flush()
            if self._control.fileno() in ready:
                self._obey()
            for descriptor in [each for each in self._outputs if each in ready]:  # stdout before stderr
                if not self._copy(descriptor):
                    poll.unregister(descriptor)
            if ended in ready:
                break
        self._finish()

    def _obey(self) -> None:
        received = receive_datagram(self._control)
        if received is None:
            self.abandon()
        if "reopen" in received[0]:
            self._log.reopen()
        else:
            os.kill(self._pid, received[0]["signal"])

    def _copy(self, descriptor: int) -> bool:
        """Copy what there is into the log. False at the end of the stream."""
        try:
            data = os.read(descriptor, _CHUNK)
        except OSError:  # EIO: nobody holds the terminal any more
            data = b""
        if data:
            self._log.write(self._outputs[descriptor], data)
        else:
            del self._outputs[descriptor]
            os.close(descriptor)
        return bool(data)

    def _finish(self) -> None:
        _, status = os.waitpid(self._pid, 0)
        finished = timestamp()
        self._launch.sweep(self._namespaces)
        deadline = time.monotonic() + _DRAIN
        while self._outputs and (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select(list(self._outputs), [], [], left)
            for descriptor in ready:
                self._copy(descriptor)
        self._log.flush()
        code = os.waitstatus_to_exitcode(status)
        self.tell(exit_code=code if code >= 0 else 128 - code, finished_at=finished)


def namespaces(pid: int, proc: int | None = None) -> dict[str, int]:
    """Inode numbers, by which one tells which namespaces two processes share. `proc` is an opened /proc."""
    found = {}
    for name in NAMESPACES:
        with contextlib.suppress(OSError):
            found[name] = os.stat(f"{pid}/ns/{name}" if proc else f"/proc/{pid}/ns/{name}", dir_fd=proc).st_ino
    return found
