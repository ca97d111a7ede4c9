"""What the `kubelab` command does with the engines: up, down, ask. One set of engines a user, under one lock.

A first `up` starts the supervisor as a process of its own session and waits for its one line; a later one finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from kubelab.home import Home
from kubelab.settings.profiles import DEFAULT
from kubelab.supervisor import guard, pids

UNIX_PATH_MAX = 107 if sys.platform == "linux" else 103  # unix(7), without the closing zero byte
UP_TIMEOUT, DOWN_TIMEOUT, ASK_TIMEOUT = 180.0, 30.0, 90.0  # seconds


class LifecycleError(Exception):
    """What could not be done, why, and the next step."""


def up(home: Home, profile: str | None = None) -> dict[str, Any]:
    """Start the engines, or see that they run (with `profile`, if one is named). Returns the supervisor's status."""
    _check_path_length(home)
    home.ensure()
    with locked(home):
        status = running(home)
        if status is None:
            return _start(home, profile or DEFAULT)
        if profile and status["profile"] != profile:
            ask(home, "profile", profile)
            status = ask(home, "status")
        return status


def down(home: Home) -> bool:
    """Stop the engines and all that they made. False where none ran. State stays: the next `up` finds it."""
    if not home.run.exists():
        return False
    with locked(home):
        supervisor = pids.read(home.run / "supervisor.pid")
        keeper = pids.read(home.run / "guard.pid")
        if supervisor is not None:
            supervisor.signal(signal.SIGTERM)
        deadline = time.monotonic() + DOWN_TIMEOUT
        while any(process is not None and process.alive() for process in (supervisor, keeper)):
            if time.monotonic() > deadline:
                _force(supervisor, keeper)
                break
            time.sleep(0.01)
        guard.sweep(home)
        return supervisor is not None or keeper is not None


def running(home: Home) -> dict[str, Any] | None:
    """The supervisor's status; None where none runs."""
    if pids.read(home.run / "supervisor.pid") is None:
        return None
    return ask(home, "status")


def ask(home: Home, do: str, name: str = "") -> dict[str, Any]:
    """One request to the supervisor. LifecycleError where it refuses, or is not there."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ASK_TIMEOUT)
            connection.connect(str(home.supervisor_socket))
            connection.sendall(json.dumps({"do": do, "name": name}).encode() + b"\n")
            with connection.makefile() as answers:
                answer = json.loads(answers.readline() or "{}")
    except (FileNotFoundError, ConnectionError):
        raise LifecycleError("the engines are not running. Next: `kubelab up`.") from None
    except TimeoutError:
        raise LifecycleError(f"the supervisor did not answer within {ASK_TIMEOUT:.0f} s. See {_log(home)}.") from None
    if not answer.get("ok"):
        raise LifecycleError(answer.get("error") or f"the supervisor ended while it was asked. See {_log(home)}.")
    return answer


@contextlib.contextmanager
def locked(home: Home) -> Iterator[None]:
    """One `up` or `down` at a time. The lock ends with its process, however that ends."""
    descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another kubelab command to finish", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start(home: Home, profile: str) -> dict[str, Any]:
    guard.sweep(home)  # what a power cut left
    read, write = os.pipe()
    with (home.log / "supervisor.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "kubelab.supervisor", "--profile", profile],
            env={**os.environ, "KUBELAB_HOME": str(home.path), "KUBELAB_READY_FD": str(write)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            pass_fds=(write,),
            start_new_session=True,
        )
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = json.loads(pipe.readline() or "{}")
    if not answer.get("ok"):
        keeper.wait(DOWN_TIMEOUT)
        reason = answer.get("error") or f"the supervisor ended before the engines were ready. See {_log(home)}."
        raise LifecycleError(f"the engines did not start: {reason}\nNext: `kubelab doctor`.")
    return answer


def _force(*processes: pids.ProcessId | None) -> None:
    """The supervisor hangs: kill it; the kernel tells its children, and the guard, if it lives, ends them."""
    for process in processes:
        if process is not None:
            process.signal(signal.SIGKILL)


def _check_path_length(home: Home) -> None:
    longest = max((home.docker_socket, home.supervisor_socket, home.runtime_socket), key=lambda path: len(str(path)))
    if len(os.fsencode(longest)) > UNIX_PATH_MAX:
        raise LifecycleError(
            f"{longest}: too long for a unix socket ({UNIX_PATH_MAX} bytes at most). "
            "Next: set KUBELAB_HOME to a shorter path."
        )


def _log(home: Home) -> str:
    return str(home.log / "supervisor.log")
