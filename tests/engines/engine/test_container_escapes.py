"""What a program in a container tries, to get at the machine around it: processes, devices, the kernel's settings, and
links laid out for `docker cp`."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from engines.engine.levels import isolated

IMAGE = "kubelab/python"
pytestmark = isolated


@pytest.fixture
def sdk(client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    yield client
    for container in client.containers.list(all=True):
        with suppress(docker.errors.NotFound):
            container.remove(force=True, v=True)


@pytest.fixture
def container(sdk: docker.DockerClient) -> Container:
    return sdk.containers.run(IMAGE, ["sleep", "100"], detach=True, tmpfs={"/opt": ""})


def python(container: Container, script: str, *argv: str) -> str:
    """What a script says in the container; an error of the kernel's by its name."""
    wrapped = f"import errno, os, sys\ntry:\n    {script}\nexcept OSError as e: print(errno.errorcode[e.errno])"
    result = container.exec_run(["python3", "-c", wrapped, *argv])
    assert result.exit_code == 0, result.output
    return result.output.decode().strip()


def test_no_process_of_the_machine_can_be_signalled_or_traced(container: Container):
    with subprocess.Popen(["sleep", "100"]) as outside:
        try:
            pid = str(outside.pid)
            assert python(container, "os.kill(int(sys.argv[1]), 9)", pid) == "ESRCH"
            assert python(container, "print(os.listdir('/proc/' + sys.argv[1]))", pid) == "ENOENT"
            attach = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
            attach += "print(libc.ptrace(16, int(sys.argv[1]), 0, 0), errno.errorcode[ctypes.get_errno()])"
            assert python(container, attach, pid) == "-1 ESRCH"
            assert python(container, "os.kill(-1, 9); print('sent')") == "ESRCH"  # all but PID 1
            assert outside.poll() is None
        finally:
            outside.kill()


@pytest.mark.parametrize("device", ["1:1", "8:0", "254:0", "10:200"])  # /dev/mem, disks, /dev/net/tun
def test_a_device_node_opens_nothing(container: Container, device: str):
    script = "os.mknod('/opt/node', 0o60600 if sys.argv[1][0] in '28' else 0o20600, os.makedev(*map(int, "
    script += "sys.argv[1].split(':')))); print(len(os.read(os.open('/opt/node', os.O_RDONLY), 1)))"
    assert python(container, script, device) in ("EPERM", "EACCES")


@pytest.mark.parametrize(
    "path",
    [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/vm/drop_caches",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/hostname",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/release_agent",
    ],
)
def test_the_kernels_settings_cannot_be_written(container: Container, path: str):
    script = "os.write(os.open(sys.argv[1], os.O_WRONLY), b'0'); print('written')"
    assert python(container, script, path) in ("EROFS", "EACCES", "EPERM", "ENOENT")


@pytest.mark.parametrize("script", ["os.listdir('/proc/1/root/work')", "os.chroot('/proc/1/cwd/..')"])
def test_no_way_around_the_root(container: Container, script: str):
    said = python(container, f"{script}; print('done', sorted(os.listdir('/')) == sorted(os.listdir('/proc/1/root')))")
    assert said in ("ENOENT", "EPERM", "EACCES", "done True")


def test_a_file_system_cannot_be_mounted(container: Container):
    script = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
    script += "print(libc.mount(b'none', b'/mnt', sys.argv[1].encode(), 0, None), errno.errorcode[ctypes.get_errno()])"
    for kind in ("proc", "sysfs", "tmpfs", "cgroup", "overlay"):
        assert python(container, script, kind) == "-1 EPERM", kind


# -- docker cp


def archive(**files: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def test_a_link_of_the_container_leads_cp_to_no_file_of_the_machine(container: Container, tmp_path: Path):
    """Where the layers have a folder, and the container has mounted something that has a link there."""
    tmp_path.chmod(0o777)
    container.exec_run(["sh", "-c", f"mkdir -p /srv/a && ln -s {tmp_path} /srv/link"])
    with pytest.raises(docker.errors.APIError, match="Could not find the file /srv/link"):
        container.put_archive("/srv/link", archive(evil=b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_link_under_a_mount_leads_cp_to_no_file_of_the_machine(sdk: docker.DockerClient, tmp_path: Path):
    """The layers have a folder where the container, on a tmpfs that hides it, has a link."""
    tmp_path.chmod(0o777)
    container = sdk.containers.create(IMAGE, ["sleep", "100"], tmpfs={"/srv": ""})
    assert container.put_archive("/", archive(**{"srv/folder/file": b""}))
    container.start()
    assert container.exec_run(["ln", "-s", str(tmp_path), "/srv/folder"]).exit_code == 0
    with pytest.raises(docker.errors.APIError, match="Could not find the folder /srv/folder in the container"):
        container.put_archive("/srv/folder", archive(evil=b"x"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_an_archive_that_leads_out_is_refused(container: Container, name: str):
    with pytest.raises(docker.errors.APIError):
        container.put_archive("/srv", archive(**{name: b"x"}))
    assert not Path("/evil").exists()
    assert container.exec_run(["ls", "/evil"]).exit_code != 0


def test_cp_out_gives_a_link_as_a_link(container: Container):
    container.exec_run(["ln", "-s", "/etc/hostname", "/srv/link"])
    chunks, _ = container.get_archive("/srv/link")
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        (member,) = tar.getmembers()
    assert (member.issym(), member.linkname) == (True, "/etc/hostname")
