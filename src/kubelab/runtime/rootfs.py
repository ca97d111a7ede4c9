"""A container's file system: overlayfs over the image's layers, /proc, /sys, /dev, mounts, and pivot_root into it.

All of it happens in the container's own mount namespace, so the kernel takes it down with the last process. The list
of mounts, devices and masked paths is that of the OCI runtime specification as Docker fills it in
(moby, oci/defaults.go).
"""

from __future__ import annotations

import contextlib
import os
import stat
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
    RESOLVE_BENEATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    clone_mount,
    mount,
    openat2,
    pivot_root,
    place_mount,
    umount,
)

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
MASKED = ("/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats")
MASKED += ("/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware")
MASKED += ("/sys/devices/virtual/powercap",)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_HARMLESS = MS_NOSUID | MS_NODEV | MS_NOEXEC
TMPFS_FLAGS = {"noexec": MS_NOEXEC, "nosuid": MS_NOSUID, "nodev": MS_NODEV, "noatime": MS_NOATIME}


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
        sources = [(-1 if each.type == "tmpfs" else _source(each), each) for each in _outer_first(self.mounts)]
        pivot_root(".", ".")
        umount(".", MNT_DETACH)  # the old root, stacked on the new one, where `..` of a link would find it
        os.chdir("/")
        root = os.open("/", os.O_PATH | os.O_DIRECTORY)
        for descriptor, each in sources:
            _mount(root, descriptor, each)
        os.close(root)
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


def _outer_first(mounts: tuple[Mount, ...]) -> list[Mount]:
    """A mount inside another one has to come after it, as dockerd sorts them."""
    return sorted(mounts, key=lambda each: len(Path(each.container_path).parts))


def _source(wanted: Mount) -> int:
    """A copy of the host's mount; a sub_path may not lead out of it."""
    opened = os.open(Path(wanted.host_path).resolve(), os.O_PATH)
    if wanted.sub_path:
        try:
            opened = open_within(opened, wanted.sub_path, RESOLVE_BENEATH, folder=True)
        except OSError as error:
            message = f"subpath {wanted.sub_path!r} of {wanted.host_path}: {error.strerror}"
            raise OSError(error.errno, message) from None
    return clone_mount(opened)


def open_within(root: int, path: str, resolve: int, *, folder: bool) -> int:
    """Open a path below the opened `root`, made where it is missing. No symbolic link leads out, not even one that
    somebody puts there meanwhile, and none of /proc's (what runc does by securejoin and its procfs handles)."""
    path = path.strip("/") or "."
    try:
        return openat2(root, path, os.O_PATH, resolve | RESOLVE_NO_MAGICLINKS)
    except FileNotFoundError:
        above, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise
    parent = open_within(root, above, resolve, folder=True)
    try:
        with contextlib.suppress(FileExistsError):
            if folder:
                os.mkdir(name, 0o755, dir_fd=parent)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent))
    finally:
        os.close(parent)
    return openat2(root, path, os.O_PATH, resolve | RESOLVE_NO_MAGICLINKS)


def _mount(root: int, source: int, wanted: Mount) -> None:
    """Put a mount in its place. The container's root is in force already."""
    is_folder = source < 0 or stat.S_ISDIR(os.fstat(source).st_mode)
    target = open_within(root, wanted.container_path, RESOLVE_IN_ROOT, folder=is_folder)
    place = f"/proc/self/fd/{target}"
    if source < 0:
        flags = MS_NOSUID | MS_NODEV | sum(TMPFS_FLAGS[name] for name in wanted.options if name in TMPFS_FLAGS)
        size = f",size={wanted.size}" if wanted.size else ""
        mount("tmpfs", place, "tmpfs", flags, f"mode={wanted.mode:o}{size}")
    else:
        place_mount(source, target)
        os.close(source)
    os.close(target)
    if wanted.readonly:  # by its path again: the descriptor is of what the mount covers
        covered = open_within(root, wanted.container_path, RESOLVE_IN_ROOT, folder=is_folder)
        _remount_readonly(f"/proc/self/fd/{covered}")
        os.close(covered)


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
