"""What /proc tells about processes: descendants, memory, processor time, command lines (proc(5))."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that we use."""

    name: str
    state: str
    ppid: int
    terminal: int
    cpu_ticks: int  # own and of waited-for children, user and system
    start_ticks: int  # after boot


def children(pid: int, opened: int | None = None) -> list[int]:
    """Of all threads. Empty where the process is gone. `opened` is another /proc than the one we see."""
    found: list[int] = []
    root = "/proc" if opened is None else f"/proc/self/fd/{opened}"
    with contextlib.suppress(OSError):
        for thread in Path(f"{root}/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """All processes below this one, parents before their children."""
    found, rest = [], children(pid)
    while rest:
        found += rest
        rest = [grandchild for child in rest for grandchild in children(child)]
    return found


def tree(pid: int) -> list[int]:
    return [pid, *descendants(pid)] if pid and Path(f"/proc/{pid}").exists() else []


def threads(pid: int) -> list[int]:
    """Of a process; empty where it is gone."""
    try:
        return [int(each) for each in os.listdir(f"/proc/{pid}/task")]  # noqa: PTH208 (names are all that is wanted)
    except FileNotFoundError:
        return []


def kill(pid: int) -> None:
    send(pid, signal.SIGKILL)


def send(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def stat(pid: int) -> Stat | None:
    """None where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    cpu = sum(map(int, fields[11:15]))
    return Stat(name, fields[0], int(fields[1]), int(fields[4]), cpu, int(fields[19]))


def resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def environment(pid: int) -> dict[str, str]:
    """As it was at execve(2). Empty where the process is gone or not ours to see."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    return {name: value for name, _, value in (os.fsdecode(word).partition("=") for word in words)}


def describe(pid: int) -> dict[str, Any] | None:
    """As a line of `ps -ef`: pid, ppid, uid (the user's name), c, stime, tty, time, cmd. None where it is gone."""
    status = stat(pid)
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    if status is None:
        return None
    words = [word.decode(errors="replace") for word in command.split(b"\0")[:-1]]
    return {
        "pid": pid,
        "ppid": status.ppid,
        "uid": _user_name(owner),
        "c": 0,
        "stime": _start_time(status.start_ticks),
        "tty": f"pts/{status.terminal & 0xFF}" if status.terminal else "?",
        "time": time.strftime("%H:%M:%S", time.gmtime(status.cpu_ticks // TICK)),
        "cmd": " ".join(words) or f"[{status.name}]",
    }


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _start_time(ticks: int) -> str:
    """`ps` shows hours and minutes for what started within a day, else month and day."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / TICK
    started = time.localtime(time.time() - age)
    return time.strftime("%H:%M" if age < 86400 else "%b%d", started)
