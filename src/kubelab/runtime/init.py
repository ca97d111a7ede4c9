"""PID 1 for containers that ask for an init: reaps orphans, passes signals on, ends as its child ends.

What `docker run --init` (tini) and a pod's pause process do. It is our own code and no program of the image, and it
lets nobody look at it: /proc/1 of a process that is not dumpable is closed to the container (proc(5)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import termios
from typing import NoReturn

from kubelab.runtime import capabilities, syscalls

_KEPT = {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGBUS}
_KEPT |= {
    signal.SIGABRT,
    signal.SIGTRAP,
    signal.SIGSYS,
    signal.SIGTTIN,
    signal.SIGTTOU,
}  # tini keeps the same to itself


def become() -> None:
    """Stay behind as PID 1; returns in the child, which is to become the program."""
    passed_on = {signum for signum in signal.valid_signals() if signum not in _KEPT}
    signal.pthread_sigmask(signal.SIG_BLOCK, {*passed_on, signal.SIGCHLD})
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _take_terminal()
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        return
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    _watch_over(child, passed_on)


def _take_terminal() -> None:
    """With a terminal the program's group is the one that may read from it."""
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        fcntl.ioctl(0, termios.TIOCSPGRP, os.getpid().to_bytes(4, "little"))
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _watch_over(child: int, passed_on: set[int]) -> NoReturn:
    syscalls.hide_from_ptrace()
    syscalls.limit_capabilities(frozenset({capabilities.NUMBERS["KILL"]}))
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))  # the program's ends of pipes, and the report that it has started
    while True:
        signum = signal.sigwait({*passed_on, signal.SIGCHLD})
        if signum != signal.SIGCHLD:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signum)
            continue
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    code = os.waitstatus_to_exitcode(ended[1])
                    os._exit(code if code >= 0 else 128 - code)
