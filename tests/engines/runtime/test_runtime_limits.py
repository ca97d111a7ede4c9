"""Limits, security and mounts of containers: what the runtime puts in force, and where from."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from kubelab.runtime import cgroups, proc
from kubelab.runtime.api import ContainerState, Level, Mount, Resources, RuntimeServiceError, Security

from .conftest import Daemon, Lab, eventually

COUNT = "import time\nn = 0\nwhile True:\n    n += 1; open('/tmp/n', 'w').write(str(n)); time.sleep(0.005)"


@pytest.fixture
async def enforced(lab: Lab) -> list[str]:
    return (await lab.client.version())["enforced"]


@pytest.fixture
def isolated(lab: Lab) -> None:
    if lab.level is not Level.NAMESPACES:
        pytest.skip("this level does not isolate")


def folder_of(container: str, controller: str) -> Path:
    (found,) = cgroups.own_folders()[controller].glob(f"{cgroups.PREFIX}*/{container}")
    return found


# -- resources


async def test_limits_are_the_cgroups(lab: Lab, enforced: list[str]) -> None:
    if not {"memory", "cpu", "pids"} <= set(enforced):
        pytest.skip("no cgroup can be written here")
    wanted = Resources(64 << 20, 96 << 20, cpu_shares=512, cpu_quota=25_000, cpu_period=50_000, pids_limit=7)
    container = await lab.start(await lab.pod(), "sleep", "60", resources=wanted)
    stats = await lab.client.container_stats(container)
    assert (stats.memory_limit, stats.pids) == (64 << 20, 1)
    assert 0 < stats.memory_bytes <= stats.memory_usage
    if stats.from_cgroup == 1:
        read = {
            name: (folder_of(container, name.partition(".")[0]) / name).read_text().strip()
            for name in ("cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "pids.max")
        }
        assert list(read.values()) == ["512", "25000", "50000", "7"]
    await lab.client.update_container_resources(container, Resources(memory_limit=128 << 20))
    assert (await lab.client.container_stats(container)).memory_limit == 128 << 20
    assert (await lab.client.container_status(container)).config.resources == Resources(memory_limit=128 << 20)


async def test_more_processes_than_allowed_cannot_be_had(lab: Lab, enforced: list[str]) -> None:
    if "pids" not in enforced:
        pytest.skip("no cgroup can be written here")
    program = """
import os, signal
children = []
try:
    for _ in range(20):
        if (child := os.fork()) == 0:
            signal.pause()
        children.append(child)
except OSError as error:
    print(len(children), error.strerror)
for child in children: os.kill(child, 9)
"""
    _, output = await lab.run(await lab.pod(), "python3", "-c", program, resources=Resources(pids_limit=4))
    assert output == b"3 Resource temporarily unavailable\n"


async def test_the_processor_is_shared_by_quota(lab: Lab, enforced: list[str]) -> None:
    if "cpu" not in enforced:
        pytest.skip("no cgroup can be written here")
    container = await lab.python(await lab.pod(), "while True: pass", resources=Resources(cpu_quota=5_000))

    async def throttled() -> bool | None:
        periods, stopped, waited = (await lab.client.container_stats(container)).throttling
        return True if stopped > 5 and waited > 0 and periods >= stopped else None

    assert await eventually(throttled)


async def test_a_child_that_the_kernel_kills_for_memory_is_told_of(lab: Lab, enforced: list[str]) -> None:
    if "memory" not in enforced:
        pytest.skip("no cgroup can be written here")
    grow = "kept = [bytearray(1 << 20) for _ in range(200)]"
    program = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {grow!r}]).returncode + 12)"
    status = await lab.ended(
        await lab.python(await lab.pod(), program, resources=Resources(64 << 20, memory_swap=64 << 20))
    )
    assert (status.exit_code, status.reason) == (3, "OOMKilled")


async def test_a_cgroup_goes_with_its_container(lab: Lab, enforced: list[str]) -> None:
    if not enforced:
        pytest.skip("no cgroup can be written here")
    container = await lab.start(await lab.pod(), "sleep", "60")
    controller = "memory" if "memory" in enforced and "memory" in cgroups.own_folders() else ""
    folder = folder_of(container, controller)
    await lab.client.stop_container(container, 0)

    async def gone() -> bool | None:
        return True if not folder.exists() else None

    assert await eventually(gone)


async def test_a_killed_daemon_leaves_no_cgroup(start_daemon, level: Level) -> None:
    from kubelab.runtime.client import RuntimeClient

    daemon: Daemon = start_daemon()
    async with RuntimeClient(daemon.home.runtime_socket) as client:
        if not (await client.version())["enforced"]:
            pytest.skip("no cgroup can be written here")
        laboratory = Lab(daemon, client)
        await laboratory.set_up()
        pid = (await client.version())["pid"]
        container = await laboratory.start(await laboratory.pod(), "sleep", "60")
    daemon.stop(signal.SIGKILL)

    async def empty() -> bool | None:
        left = [path for each in cgroups.own_folders().values() for path in each.glob(f"kubelab-{pid}-*/{container}")]
        return None if left else True

    assert await eventually(empty)
    cgroups.sweep()  # what the next daemon does at its start
    assert not [path for each in cgroups.own_folders().values() for path in each.glob(f"kubelab-{pid}-*")]


# -- pausing


async def test_a_paused_container_stands_still_and_goes_on(lab: Lab) -> None:
    program = "import sys, time\nwhile True: print('.', flush=True); time.sleep(0.005)"
    container = await lab.python(await lab.pod(), program)
    await lab.says(container, b".")
    await lab.client.pause_container(container)
    assert (await lab.client.container_status(container)).paused
    with pytest.raises(RuntimeServiceError, match="already paused"):
        await lab.client.pause_container(container)
    states = {status.state for pid in await pids(lab, container) if (status := proc.stat(pid))}
    assert states <= {"D", "T", "S"}  # frozen (v1: D), stopped, or frozen while it slept (v2)
    before = await lab.output(container)
    await lab.client.resume_container(container)

    async def goes_on() -> bool | None:
        return True if len(await lab.output(container)) > len(before) + 20 else None

    assert await eventually(goes_on)


async def pids(lab: Lab, container: str) -> list[int]:
    return [each["pid"] for each in await lab.client.processes(container)]


@pytest.mark.parametrize("end", ["stop", "kill", "remove"])
async def test_a_paused_container_can_be_ended(lab: Lab, end: str) -> None:
    container = await lab.start(await lab.pod(), "sleep", "60")
    await lab.client.pause_container(container)
    if end == "stop":
        await lab.client.stop_container(container, 0)
    elif end == "kill":
        await lab.client.kill_container(container, signal.SIGKILL)
        assert (await lab.ended(container)).exit_code == 137
    await lab.client.remove_container(container)
    assert container not in [each.id for each in await lab.client.list_containers()]


# -- security


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize(
    ("security", "mask"),
    [
        (Security(drop_capabilities=("ALL",)), "0000000000000000"),
        (Security(("CHOWN",), ("ALL",)), "0000000000000001"),
        (Security(("cap_net_admin",), ("MKNOD",)), "00000000a00435fb"),
    ],
)
async def test_capabilities_are_added_and_dropped(lab: Lab, security: Security, mask: str) -> None:
    if mask == "00000000a00435fb":
        mask = f"{0xA80425FB & ~(1 << 27) | 1 << 12:016x}"
    _, output = await lab.run(await lab.pod(), "grep", "Cap", "/proc/self/status", security=security)
    found = dict(line.split(":\t") for line in output.decode().splitlines())
    assert (found["CapEff"], found["CapBnd"], found["CapPrm"]) == (mask, mask, mask)


async def test_an_unknown_capability_is_refused(lab: Lab) -> None:
    with pytest.raises(RuntimeServiceError, match='invalid capability: "CAP_NONE"'):
        await lab.create(await lab.pod(), "true", security=Security(("CAP_NONE",)))


@pytest.mark.usefixtures("isolated")
async def test_no_new_privileges_groups_and_score(lab: Lab) -> None:
    fields = {
        "security": Security(no_new_privileges=True, supplementary_groups=(2000, 3000)),
        "oom_score_adj": 500,
        "ulimits": (("nofile", 100, 200), ("core", 0, 0)),
    }
    program = (
        "import json, os, resource; status = dict(l.split(':\\t', 1) for l in open('/proc/self/status'));"
        "print(json.dumps([status['NoNewPrivs'].strip(), status['Groups'].split(),"
        "open('/proc/self/oom_score_adj').read().strip(), resource.getrlimit(resource.RLIMIT_NOFILE)]))"
    )
    container = await lab.start(await lab.pod(), "sh", "-c", f'python3 -c "{program}"; sleep 60', **fields)
    expected = ["1", ["0", "2000", "3000"], "500", [100, 200]]
    if (await lab.client.version())["uid_map"].split()[2:] == ["1"]:
        # An ordinary user's namespace has no groups to give, nor lets go of those that the user has.
        expected[1] = sorted("0" if group == os.getgid() else "65534" for group in os.getgroups())
    assert json.loads(await lab.says(container, b"]]")) == expected
    result = await lab.client.exec_sync(container, ["python3", "-c", program], timeout=10)
    assert json.loads(result.stdout) == expected


@pytest.mark.usefixtures("isolated")
async def test_sysctls_and_shm_of_a_sandbox(lab: Lab) -> None:
    pod = await lab.pod(sysctls={"net.core.somaxconn": "77", "kernel.shmmni": "55"}, shm_size=1 << 20)
    _, output = await lab.run(
        pod, "sh", "-c", "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmni; grep /dev/shm /proc/mounts"
    )
    assert output.split()[:2] == [b"77", b"55"]
    assert b"size=1024k" in output
    with pytest.raises(RuntimeServiceError, match=r"'kernel.panic' is not in a separate kernel namespace"):
        await lab.pod("other", sysctls={"kernel.panic": "1"})


@pytest.mark.usefixtures("isolated")
async def test_an_init_reaps_and_passes_signals_on(lab: Lab) -> None:
    program = """
import os, signal, sys
if os.fork() == 0:
    if os.fork() == 0:
        os._exit(0)  # its parent ends at once: PID 1 has to reap it
    os._exit(0)
os.wait()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
print(os.getpid(), os.getppid(), flush=True)
signal.pause()
"""
    container = await lab.python(await lab.pod(), program, init=True)
    await lab.says(container, b"2 1\n")
    listed = await lab.client.exec_sync(container, ["sh", "-c", "cat /proc/1/exe | head -c 1; ls /proc/1/root"], 10)
    assert listed.stdout == b""
    assert b"ermission denied" in listed.stderr
    assert not [each for each in await lab.client.processes(container) if "defunct" in each["cmd"]]
    await lab.client.stop_container(container, 10)
    assert (await lab.client.container_status(container)).exit_code == 9


# -- mounts


@pytest.mark.usefixtures("isolated")
async def test_a_tmpfs_has_a_size_a_mode_and_flags(lab: Lab) -> None:
    mount = Mount("/scratch", type="tmpfs", size=1 << 20, mode=0o1750, options=("noexec",))
    _, output = await lab.run(
        await lab.pod(),
        "sh", "-c", "grep scratch /proc/mounts; stat -c %a /scratch; head -c 2000000 /dev/zero > /scratch/big",
        mounts=(mount,),
    )  # fmt: skip
    assert b"tmpfs /scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=1750" in output
    assert b"1750\n" in output
    assert b"No space left" in output


@pytest.mark.usefixtures("isolated")
async def test_a_readonly_tmpfs_in_a_bind(lab: Lab, tmp_path: Path) -> None:
    mounts = (Mount("/a/b", type="tmpfs", readonly=True), Mount("/a", str(tmp_path)))
    code, output = await lab.run(await lab.pod(), "sh", "-c", "touch /a/file; touch /a/b/file", mounts=mounts)
    assert code != 0
    assert b"/a/b/file" in output
    assert sorted(each.name for each in tmp_path.glob("*")) == ["b", "file"]  # noqa: ASYNC240


async def test_a_subpath_is_made_and_stays_in_its_volume(lab: Lab, tmp_path: Path) -> None:
    volume, outside = tmp_path / "volume", tmp_path / "outside"
    for folder in (volume, outside):
        folder.mkdir(mode=0o777)
    (volume / "link").symlink_to("../outside")
    pod = await lab.pod()
    await lab.run(
        pod, "sh", "-c", "touch data/file", working_dir="/", mounts=(Mount("/data", str(volume), sub_path="new/one"),)
    )
    assert (volume / "new/one/file").exists()
    for path in ("link", "../outside"):
        with pytest.raises(RuntimeServiceError, match="subpath"):
            await lab.start(pod, "true", mounts=(Mount("/data", str(volume), sub_path=path),))
    assert list(outside.glob("*")) == []


@pytest.mark.usefixtures("isolated")
@pytest.mark.parametrize("link", ["/proc/self/cwd", "/proc/self/root", "/../../..", "/proc/self/fd/5"])
async def test_a_mount_point_behind_a_link_stays_in_the_container(lab: Lab, tmp_path: Path, link: str) -> None:
    """The image, or what was mounted before, may hold any link at all."""
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "escape").symlink_to(link)
    name = f"kl-escaped-{tmp_path.name}"
    mounts = (Mount("/data", str(volume)), Mount(f"/data/escape/{name}", str(volume)))
    container = await lab.create(await lab.pod(), "true", mounts=mounts)
    try:
        await lab.client.start_container(container)
    except RuntimeServiceError as error:
        assert "self" in link, error
    assert not any(os.path.lexists(f"{folder}/{name}") for folder in ("", lab.logs, volume.parent))  # noqa: ASYNC240


async def test_what_cannot_be_enforced_is_said(lab: Lab) -> None:
    version = await lab.client.version()
    for topic in ("memory", "cpu", "pids", "freezer"):
        assert (topic in version["enforced"]) != (topic in version["limits"])
    state = await lab.client.container_status(await lab.start(await lab.pod(), "sleep", "60"))
    assert (state.state, state.paused) == (ContainerState.RUNNING, False)
