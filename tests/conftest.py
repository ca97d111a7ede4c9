"""What every test may use: a state folder, running engines, and `@pytest.mark.requires("kubectl")`.

With KUBELAB_CI set, a test that would be skipped because something is absent fails: so .ci/run cannot pass by skipping.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab.home import Home

STRICT = bool(os.environ.get("KUBELAB_CI"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("requires"):
        for program in marker.args:
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not on PATH")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which KUBELAB_CI does not allow: {report.longrepr[2]}"
    return report


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty state folder with a short path (a unix socket's path has 107 bytes at most)."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        yield Home(Path(folder)).ensure()


@pytest.fixture(scope="session")
def engines() -> Iterator[Home]:
    """Running engines, profile class, in a state folder of the test run's own; afterwards nothing of them is left."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder))
        kubelab(home, "up", "--profile", "class")
        try:
            yield home
        finally:
            kubelab(home, "down")
            assert left_over(home) == []


def kubelab(home: Home, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command on `home`. Its output is in the assertion where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "kubelab.cli", *arguments],
        env={**os.environ, "KUBELAB_HOME": str(home.path)},
        capture_output=True,
        text=True,
        timeout=110,
        stdin=subprocess.DEVNULL,
    )
    if check:
        assert done.returncode == 0, f"kubelab {' '.join(arguments)}: {done.stdout}{done.stderr}"
    return done


def left_over(home: Home) -> list[str]:
    """What engines that have ended must not leave: processes that name the folder, mounts below it, sockets, pid files."""
    found = [f"process {pid}: {what}" for pid, what in processes_of(home)]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line}" for line in mounts if f" {home.path}/" in line or f"={home.path}/" in line]
    found += [f"socket {path}" for path in home.path.rglob("*") if path.is_socket()]
    return found + [f"pid file {path}" for path in home.run.glob("*.pid")]


def processes_of(home: Home) -> Iterator[tuple[int, str]]:
    """(pid, command line) of every process that was started with this `$KUBELAB_HOME`: engines and containers alike."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            environment = (folder / "environ").read_bytes().split(b"\0")
            stands_in = os.readlink(folder / "cwd"), os.readlink(folder / "root")
        except OSError:
            continue
        if int(folder.name) == os.getpid():
            continue
        named = f"KUBELAB_HOME={home.path}".encode() in environment
        if named or str(home.path) in command or any(place.startswith(str(home.path)) for place in stands_in):
            yield int(folder.name), command
