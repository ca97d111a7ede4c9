"""Nothing outlives its owner: whatever is killed, and however."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kubelab.runtime import proc
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.client import RuntimeClient

from .conftest import Daemon, Lab, eventually

LEAVE_ORPHANS = "import subprocess; subprocess.Popen(['sleep', '71'], start_new_session=True); print('ready'); input()"


async def busy_lab(daemon: Daemon) -> tuple[Lab, str, str]:
    """A lab with a container that has an orphan in a session of its own, and an exec with a terminal."""
    lab = Lab(daemon, RuntimeClient(daemon.home.runtime_socket))
    await lab.set_up()
    pod = await lab.pod()
    container = await lab.python(pod, LEAVE_ORPHANS, stdin=True)
    await lab.says(container, b"ready")
    await lab.client.exec(container, ["sleep", "72"], tty=True, stdin=True)
    return lab, pod, container


def identity(pid: int) -> tuple[int, int]:
    """A process, told from a later one with the same number."""
    status = proc.stat(pid)
    return pid, status.start_ticks if status and status.state not in "ZX" else -1


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
async def test_with_the_daemon_everything_ends(start_daemon: Callable[[], Daemon], signum: int) -> None:
    daemon = start_daemon()
    await busy_lab(daemon)
    before = {identity(pid) for pid in proc.descendants(daemon.process.pid)}
    networks = {network(pid) for pid, _ in before}
    assert len(before) >= 5
    daemon.stop(signum)

    async def all_gone() -> bool | None:
        return not any(identity(pid) == (pid, ticks) for pid, ticks in before) or None

    assert await eventually(all_gone)
    assert str(daemon.home.path) not in mounts()
    networks.discard(network("self"))
    assert not networks & set(networks_in_use())


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def network(pid: int | str) -> int:
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def networks_in_use() -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append(network(process.name))
        except OSError:
            continue
    return found


async def test_a_clean_end_leaves_no_files(start_daemon: Callable[[], Daemon]) -> None:
    daemon = start_daemon()
    await busy_lab(daemon)
    daemon.stop()
    assert not daemon.home.runtime_socket.exists()
    assert list(daemon.home.runtime.iterdir()) == []


async def test_after_a_kill_the_next_daemon_clears_up(start_daemon: Callable[[], Daemon]) -> None:
    daemon = start_daemon()
    await busy_lab(daemon)
    daemon.stop(signal.SIGKILL)
    assert list(daemon.home.runtime.iterdir()) != []
    again = Daemon.start(daemon.level, daemon.home, daemon.image)
    try:
        assert list(daemon.home.runtime.iterdir()) == []
        assert await RuntimeClient(daemon.home.runtime_socket).list_pod_sandbox() == []
    finally:
        again.stop()


async def test_what_a_kill_leaves_can_be_deleted_by_its_owner(start_daemon: Callable[[], Daemon]) -> None:
    daemon = start_daemon()
    await busy_lab(daemon)
    daemon.stop(signal.SIGKILL)
    shutil.rmtree(daemon.home.runtime)


async def test_with_its_monitor_a_container_ends(start_daemon: Callable[[], Daemon]) -> None:
    lab, _, container = await busy_lab(start_daemon())
    status = await lab.client.container_status(container)
    pids = [each["pid"] for each in await lab.client.processes(container)]
    os.kill(proc.stat(status.pid).ppid, signal.SIGKILL)
    assert (await lab.ended(container)).exit_code == 137

    async def all_gone() -> bool | None:
        return all(identity(pid)[1] == -1 for pid in pids) or None

    assert len(pids) >= 3
    assert await eventually(all_gone)


async def test_a_client_is_told_that_the_daemon_is_gone(start_daemon: Callable[[], Daemon]) -> None:
    daemon = start_daemon()
    client = RuntimeClient(daemon.home.runtime_socket)
    await client.version()
    daemon.stop(signal.SIGKILL)
    with pytest.raises(RuntimeServiceError) as raised:
        await client.version()
    assert raised.value.code == "Unavailable"
    assert "kubelab status" in str(raised.value)


async def test_the_socket_is_its_owners_alone(start_daemon: Callable[[], Daemon]) -> None:
    assert start_daemon().home.runtime_socket.stat().st_mode & 0o777 == 0o600


def test_a_level_that_is_no_level_ends_the_daemon_with_a_clear_message(tmp_path: Path) -> None:
    env = os.environ | {"KUBELAB_HOME": str(tmp_path), "KUBELAB_RUNTIME": "docker"}
    ended = subprocess.run(
        [sys.executable, "-m", "kubelab.runtime"], env=env, capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == ["$KUBELAB_RUNTIME is 'docker': it has to be one of namespaces, process"]
