"""The Linux system calls that make a container, which Python does not wrap: namespaces, mounts, capabilities.

Each function raises OSError with the errno and what was attempted. Manual pages: unshare(2), setns(2), mount(2),
pivot_root(2), prctl(2), capset(2), capabilities(7).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_RELATIME = 1 << 21
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 0x02, 0x08, 0x10
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_CAPABILITY_VERSION_3 = 0x20080522
_OPEN_TREE, _MOVE_MOUNT, _OPENAT2 = 428, 429, 437  # on every architecture
_OPEN_TREE_CLONE, _AT_RECURSIVE, _AT_EMPTY_PATH, _FROM_AND_TO_EMPTY = 1, 0x8000, 0x1000, 0x04 | 0x40
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41, "ppc64le": 203, "s390x": 217}
_PIVOT_ROOT |= {"i686": 217, "armv7l": 218, "armv6l": 218}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, attempted: str) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{attempted}: {os.strerror(errno)}")
    return result


def _bytes(text: str | os.PathLike[str] | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def setdomainname(name: str) -> None:
    """The UTS namespace's NIS domain name."""
    _check(_libc.setdomainname(name.encode(), len(name.encode())), f"set the domain name {name}")


def unshare(flags: int) -> None:
    """Give the calling process namespaces of its own; CLONE_NEWPID concerns the children it forks from now on."""
    _check(_libc.unshare(flags), f"unshare({namespace_names(flags)})")


def setns(fd: int, flags: int) -> None:
    """Join the namespaces named by `flags`. `fd` is a namespace file, or a pidfd of a process in them (Linux 5.8)."""
    _check(_libc.setns(fd, flags), f"setns({namespace_names(flags)})")


def join(pid: int, flags: int) -> None:
    """Join the namespaces of a process."""
    pidfd = os.pidfd_open(pid)
    try:
        setns(pidfd, flags)
    finally:
        os.close(pidfd)


def namespace_names(flags: int) -> str:
    """For messages: "NEWNS|NEWPID"."""
    return "|".join(name[6:] for name, bit in globals().items() if name.startswith("CLONE_") and flags & bit)


def mount(
    source: str | os.PathLike[str] | None,
    target: str | os.PathLike[str],
    filesystem: str | None = None,
    flags: int = 0,
    options: str = "",
) -> None:
    result = _libc.mount(_bytes(source), _bytes(target), _bytes(filesystem), ctypes.c_ulong(flags), _bytes(options))
    _check(result, f"mount {filesystem or 'bind'} {source} on {target} ({options or hex(flags)})")


def clone_mount(opened: int) -> int:
    """A copy of the mounts at an opened path, at no place yet (open_tree(2), Linux 5.2)."""
    flags = _OPEN_TREE_CLONE | _AT_RECURSIVE | _AT_EMPTY_PATH | os.O_CLOEXEC
    result = _libc.syscall(ctypes.c_long(_OPEN_TREE), opened, b"", ctypes.c_uint(flags))
    return _check(result, f"open_tree {_place(opened)}")


def place_mount(mounts: int, target: int) -> None:
    """Put what `clone_mount` gave at an opened path (move_mount(2))."""
    result = _libc.syscall(ctypes.c_long(_MOVE_MOUNT), mounts, b"", target, b"", ctypes.c_uint(_FROM_AND_TO_EMPTY))
    _check(result, f"mount on {_place(target)}")


def _place(opened: int) -> str:
    return str(Path(f"/proc/self/fd/{opened}").readlink())


def umount(target: str | os.PathLike[str], flags: int = 0) -> None:
    _check(_libc.umount2(_bytes(target), flags), f"umount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """Make `new_root` the root of this mount namespace and leave the old one at `put_old`."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root: its number on {platform.machine()} is not known; add it to {Path(__file__).name}")
    result = _libc.syscall(ctypes.c_long(number), _bytes(new_root), _bytes(put_old))
    _check(result, f"pivot_root({new_root}, {put_old})")


def openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    """Open a path below an opened folder under the rules of `resolve` (openat2(2), Linux 5.6)."""
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, 0, resolve)
    result = _libc.syscall(ctypes.c_long(_OPENAT2), folder, _bytes(path), how, ctypes.c_size_t(len(how)))
    return _check(result, f"open {path}")


def prctl(option: int, argument: int) -> int:
    zero = ctypes.c_ulong(0)
    return _check(_libc.prctl(option, ctypes.c_ulong(argument), zero, zero, zero), f"prctl({option}, {argument})")


def die_with_parent(signum: int) -> None:
    """Have the kernel send this process `signum` when its parent dies. A change of user or capabilities undoes it."""
    prctl(PR_SET_PDEATHSIG, signum)


def become_subreaper() -> None:
    """Adopt the orphans among this process's descendants."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def hide_from_ptrace() -> None:
    """Close this process's /proc/PID/{exe,mem,root,fd,…} to containers: /proc/PID/exe is a program of the host's."""
    prctl(PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """No set-user-ID program or file capability gives this process, or its children, more than it has."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def limit_capabilities(keep: frozenset[int]) -> None:
    """Drop every capability but `keep` (numbers of capabilities(7)): bounding, permitted, effective, inheritable."""
    for number in range(64):
        if number in keep:
            continue
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # EINVAL: the kernel knows no capability with this number, nor any after it
            break
    mask = sum(1 << number for number in keep)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, 0, high, high, 0)
    _check(_libc.capset(header, data), "capset")
