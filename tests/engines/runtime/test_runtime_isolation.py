"""What a container of the level *namespaces* sees, and does not see."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kubelab.runtime import monitor
from kubelab.runtime.api import Level, Mount

from .conftest import Lab, eventually


@pytest.fixture(autouse=True)
def only_with_namespaces(lab: Lab) -> None:
    if lab.level is not Level.NAMESPACES:
        pytest.skip("this level does not isolate")


async def test_containers_of_a_pod_share_network_ipc_and_uts_alone(lab: Lab) -> None:
    pod = await lab.pod()
    first, second = [await lab.client.container_status(await lab.start(pod, "sleep", "60")) for _ in range(2)]
    shared = {name for name, inode in first.namespaces.items() if second.namespaces[name] == inode}
    assert shared == {"net", "ipc", "uts", "user"}
    sandbox = await lab.client.pod_sandbox_status(pod)
    assert all(sandbox.namespaces[name] == first.namespaces[name] for name in shared)
    other = await lab.client.pod_sandbox_status(await lab.pod("other"))
    assert all(other.namespaces[name] != first.namespaces[name] for name in ("net", "ipc", "uts", "pid", "mnt"))
    assert first.namespaces["net"] != monitor.namespaces(os.getpid())["net"]


async def test_the_program_is_pid_1_and_alone(lab: Lab) -> None:
    program = "import os, json; print(json.dumps([os.getpid(), [n for n in os.listdir('/proc') if n.isdigit()]]))"
    _, output = await lab.run(await lab.pod(), "python3", "-c", program)
    assert json.loads(output) == [1, ["1"]]


async def test_with_a_shared_process_namespace_containers_see_each_other(lab: Lab) -> None:
    pod = await lab.pod(share_process_namespace=True)
    await lab.start(pod, "sleep", "77")
    _, output = await lab.run(pod, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert b"sleep 77" in output


async def test_with_a_shared_process_namespace_leftovers_end_with_their_container(lab: Lab) -> None:
    pod = await lab.pod(share_process_namespace=True)
    other = await lab.start(pod, "sleep", "60")
    program = "import subprocess; print(subprocess.Popen(['sleep', '62'], start_new_session=True).pid)"
    await lab.run(pod, "python3", "-c", program)
    result = await lab.client.exec_sync(other, ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"], timeout=10)
    assert b"sleep 60" in result.stdout
    assert b"sleep 62" not in result.stdout


async def test_the_host_is_not_there(lab: Lab) -> None:
    secret = lab.logs / "secret"
    secret.write_text("host")
    code, output = await lab.run(await lab.pod(), "sh", "-c", f"ls /; cat {secret}")
    assert code == 1
    assert b"No such file" in output
    assert b"kl-" not in output.splitlines()[0]


async def test_the_kernels_settings_are_read_only(lab: Lab) -> None:
    code, output = await lab.run(await lab.pod(), "sh", "-c", "echo x > /proc/sys/kernel/hostname")
    assert code != 0
    assert b"Read-only file system" in output


async def test_capabilities_are_dockers(lab: Lab) -> None:
    _, output = await lab.run(await lab.pod(), "grep", "CapEff", "/proc/self/status")
    assert output.split()[1] == b"00000000a80425fb"


async def test_another_user_has_no_rights_of_root(lab: Lab) -> None:
    code, output = await lab.run(
        await lab.pod(), "sh", "-c", "id -u; id -g; grep CapEff /proc/self/status", user="1000:2000"
    )
    assert (code, output.split()) == (0, [b"1000", b"2000", b"CapEff:", b"0000000000000000"])


async def test_an_unknown_user_is_a_start_error(lab: Lab) -> None:
    container = await lab.create(await lab.pod(), "true", user="nobodyknows")
    with pytest.raises(Exception, match="unable to find user nobodyknows: no matching entries in passwd file"):
        await lab.client.start_container(container)


async def test_a_read_only_root_takes_no_writes(lab: Lab) -> None:
    code, output = await lab.run(await lab.pod(), "touch", "/file", readonly_rootfs=True)
    assert code == 1
    assert b"Read-only file system" in output


async def test_mounts_are_seen_under_their_paths_and_may_be_read_only(lab: Lab) -> None:
    folder = lab.logs / "volume"
    folder.mkdir(exist_ok=True)
    file = folder / "key"
    file.write_text("value")
    mounts = (Mount("/etc/config", str(folder), readonly=True), Mount("/run/secret/key", str(file)))
    script = "cat /etc/config/key /run/secret/key; echo x > /etc/config/new"
    code, output = await lab.run(await lab.pod(), "sh", "-c", script, mounts=mounts)
    assert code != 0
    assert b"valuevalue" in output
    assert b"Read-only file system" in output


async def test_a_symbolic_link_of_the_image_does_not_lead_a_mount_to_the_host(lab: Lab) -> None:
    pod = await lab.pod()
    target = lab.logs / "must-stay-empty"
    target.mkdir(exist_ok=True)
    (lab.logs / "source").mkdir(exist_ok=True)
    (lab.logs / "source" / "file").write_text("inside")
    container = await lab.create(pod, "cat", f"{target}/file", mounts=(Mount(str(target), str(lab.logs / "source")),))
    await lab.client.start_container(container)
    assert (await lab.ended(container)).exit_code == 0
    assert list(target.iterdir()) == []


async def test_etc_hosts_names_the_pod_and_its_aliases(lab: Lab) -> None:
    pod = await lab.pod("web", host_aliases={"db": "10.0.0.9"})
    _, output = await lab.run(pod, "cat", "/etc/hosts", "/etc/hostname")
    assert f"{await lab.ip(pod)}\tweb".encode() in output
    assert b"10.0.0.9\tdb" in output
    assert output.endswith(b"web\n")


async def test_shared_memory_is_the_pods(lab: Lab) -> None:
    pod = await lab.pod()
    await lab.run(pod, "sh", "-c", "echo shared > /dev/shm/file")
    assert await lab.run(pod, "cat", "/dev/shm/file") == (0, b"shared\n")
    assert (await lab.run(await lab.pod("other"), "cat", "/dev/shm/file"))[0] == 1


async def test_devices_work(lab: Lab) -> None:
    script = "echo x > /dev/null && head -c 3 /dev/zero | wc -c && head -c 5 /dev/urandom | wc -c"
    code, output = await lab.run(await lab.pod(), "sh", "-c", script)
    assert (code, output.split()) == (0, [b"3", b"5"])


async def test_a_killed_pause_process_takes_its_pod_down(lab: Lab) -> None:
    pod = await lab.pod()
    container = await lab.start(pod, "sleep", "60")
    os.kill((await lab.client.pod_sandbox_status(pod)).pid, 9)
    assert (await lab.ended(container)).exit_code == 137

    async def gone() -> bool | None:
        return (await lab.client.pod_sandbox_status(pod)).state == "SANDBOX_NOTREADY" or None

    assert await eventually(gone)


async def test_the_programs_own_files_are_where_root_says(lab: Lab) -> None:
    container = await lab.start(await lab.pod(), "sh", "-c", "echo kept > /srv/file; sleep 60")

    async def written() -> str | None:
        file = lab.client.writable_layer(container) / "srv/file"
        return (file.read_text() if file.exists() else "") or None

    assert await eventually(written) == "kept\n"
    assert isinstance(lab.client.root(container), Path)
