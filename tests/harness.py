"""The `kubelab` command as tests drive it, and what engines that have ended must not leave behind."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kubelab.home import Home
from kubelab.runtime.levels import try_namespaces

POLL = 0.02  # seconds


def kubelab(home: Home, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command on `home`. Its output is in the assertion where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "kubelab.cli", *arguments],
        env={**os.environ, "KUBELAB_HOME": str(home.path), **environment},
        capture_output=True,
        text=True,
        timeout=110,
        stdin=subprocess.DEVNULL,
    )
    if check:
        assert done.returncode == 0, f"kubelab {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


@functools.cache
def levels_here() -> list[str]:
    """The runtime levels that work for this user on this machine, the best first."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        namespaces = try_namespaces(Path(folder)).works
    return [*(["namespaces"] if namespaces else []), "process"]


@contextmanager
def running_engines(images: Path, level: str) -> Iterator[Home]:
    """Engines that are up, and down afterwards: the test may have ended them already, in its way."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder))
        home.images.symlink_to(images)
        kubelab(home, "up", "--profile", "class", KUBELAB_RUNTIME=level)
        try:
            yield home
        finally:
            kubelab(home, "down")
            assert left_over(home) == []


def eventually(condition: Callable[[], object], what: str, deadline: float = 20.0) -> None:
    """Wait until `condition()` is true; AssertionError, with `what` was waited for, after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"not within {deadline:.0f} s: {what}"
        time.sleep(POLL)


def left_over(home: Home) -> list[str]:
    """What engines that have ended must not leave: processes, mounts, sockets, pid files."""
    found = [f"process {pid}: {what}" for pid, what in processes_of(home)]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if f" {home.path}/" in line or f"={home.path}/" in line]
    for folder, below, names in os.walk(home.path):
        below[:] = [name for name in below if name != "images"]  # many files, and no socket
        found += [f"socket {folder}/{name}" for name in names if Path(folder, name).is_socket()]
    return found + [f"pid file {path}" for path in home.run.glob("*.pid")]


def processes_of(home: Home) -> Iterator[tuple[int, str]]:
    """(pid, command line) of every process that belongs to this `$KUBELAB_HOME`: engines and containers alike.

    A network or mount namespace lives as long as a process is in it, so these stand for the namespaces too.
    """
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().split(b"\0")
            places = [str((folder / name).readlink()) for name in ("cwd", "root")]
        except OSError:
            continue
        named = f"KUBELAB_HOME={home.path}".encode() in environment or str(home.path) in command
        if int(folder.name) != os.getpid() and (named or any(place.startswith(str(home.path)) for place in places)):
            yield int(folder.name), command
