"""A container's file system: overlayfs over the image's layers, /proc, /sys, /dev, mounts, and pivot_root into it.

All of it happens in the container's own mount namespace, so the kernel takes it down with the last process. The list
of mounts, devices and masked paths is that of the OCI runtime specification as Docker fills it in
(moby, oci/defaults.go).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from kubelab.runtime.api import Mount
from kubelab.runtime.sandbox import ETC_FILES
from kubelab.runtime.syscalls import (
    MNT_DETACH,
    MS_BIND,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    mount,
    pivot_root,
    umount,
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/proc/acpi")
MASKED += ("/sys/firmware",)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_HARMLESS = MS_NOSUID | MS_NODEV | MS_NOEXEC


@dataclass(frozen=True)
class RootFS:
    """What one container sees as `/`."""

    folder: Path  # upper/, work/, merged/ and the links to the layers are made in it
    lower_dirs: tuple[Path, ...]  # topmost first
    mounts: tuple[Mount, ...]
    readonly: bool
    shm: Path  # the sandbox's /dev/shm

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    def prepare(self) -> None:
        """Make the folders. Layers get short names, because all of overlayfs' options have to fit into one page.

        The lowest layer is ours: the mount points that every container needs. So they are no change of the container's,
        which is what Docker has its init layer for. A container that is started again has them already.
        """
        if (self.folder / "merged").exists():
            return
        points = self.folder / "l" / str(len(self.lower_dirs))
        for name in ("proc", "sys", "dev", "etc"):
            (points / name).mkdir(parents=True)
        for name in ETC_FILES:
            (points / "etc" / name).touch()
        for name in ("upper", "work", "merged"):
            (self.folder / name).mkdir(exist_ok=True)  # `docker cp` into a new container has made upper
        for number, layer in enumerate(self.lower_dirs):
            (self.folder / "l" / str(number)).symlink_to(layer)

    def enter(self) -> None:
        """Mount everything and make it `/`. The caller has its namespaces already, the mount namespace for itself."""
        os.chdir(self.folder)
        lower = ":".join(f"l/{number}" for number in range(len(self.lower_dirs) + 1))
        mount("overlay", "merged", "overlay", 0, f"lowerdir={lower},upperdir=upper,workdir=work,userxattr")
        Path("work/work").chmod(0o700)  # the kernel makes it with 000, and an ordinary user could not delete it then
        os.chdir("merged")
        _mount_kernel_views()
        _mount_devices(self.shm)
        sources = [(os.open(Path(each.host_path).resolve(), os.O_PATH), each) for each in self.mounts]
        pivot_root(".", ".")
        for descriptor, each in sources:
            _bind(descriptor, each)
        umount(".", MNT_DETACH)  # the old root, which pivot_root has stacked under our working directory
        os.chdir("/")
        _hide_host()
        if self.readonly:
            _remount_readonly("/")


def _mount_kernel_views() -> None:
    """/proc of this PID namespace and /sys of this network namespace. Where the host has covered parts of its own
    /proc or /sys, the kernel refuses new ones to a user namespace; then we bind what we have."""
    try:
        mount("proc", "proc", "proc", _HARMLESS)
    except PermissionError:
        mount("/proc", "proc", None, MS_BIND | MS_REC)
    try:
        mount("sysfs", "sys", "sysfs", _HARMLESS | MS_RDONLY)
    except PermissionError:
        with contextlib.suppress(OSError):
            mount("/sys", "sys", None, MS_BIND | MS_REC)


def _mount_devices(shm: Path) -> None:
    mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k")
    for name in DEVICES:
        Path("dev", name).touch()
        mount(f"/dev/{name}", f"dev/{name}", None, MS_BIND)
    for name in ("pts", "shm", "mqueue"):
        Path("dev", name).mkdir()
    mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    mount(shm, "dev/shm", None, MS_BIND)
    with contextlib.suppress(OSError):  # a kernel without POSIX message queues
        mount("mqueue", "dev/mqueue", "mqueue", _HARMLESS)
    Path("dev/ptmx").symlink_to("pts/ptmx")
    Path("dev/fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        Path("dev", name).symlink_to(f"/proc/self/fd/{number}")


def _bind(descriptor: int, wanted: Mount) -> None:
    """Bind an opened host path. The container's root is in force already, so that its symbolic links stay inside it."""
    source, target = Path(f"/proc/self/fd/{descriptor}"), Path("/") / wanted.container_path
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():  # touching a file that is there would copy it up into the container's own layer
            target.touch()
    mount(source, target, None, MS_BIND | MS_REC)
    os.close(descriptor)
    if wanted.readonly:
        _remount_readonly(target)


def _remount_readonly(target: str | Path) -> None:
    """Flags that the source had are locked in a user namespace and have to be repeated."""
    flags = os.statvfs(target).f_flag
    kept = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME
    relative = MS_RELATIME if flags & os.ST_RELATIME else 0
    mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | (flags & kept) | relative)


def _hide_host() -> None:
    """Cover what would show or change the host in /proc and /sys."""
    for path in MASKED:
        if Path(path).is_dir():
            mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0")
        elif Path(path).exists():
            mount("/dev/null", path, None, MS_BIND)
    for path in READONLY:
        if Path(path).exists():
            mount(path, path, None, MS_BIND | MS_REC)
            _remount_readonly(path)


def own_mounts() -> None:
    """Keep this mount namespace's changes from reaching, or being reached by, the one it was copied from."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
