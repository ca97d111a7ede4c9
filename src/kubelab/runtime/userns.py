"""Entering the user namespace in which an ordinary user may mount and make networks (user_namespaces(7))."""

from __future__ import annotations

import os
from pathlib import Path

from kubelab.runtime import rootfs, syscalls

_MAX_ID = 65536  # as many users as a container can have in Docker's remapping


def enter() -> str:
    """Become root of a new user namespace, with a mount namespace of its own. Returns the mapping of users in force.

    Root keeps its users: each is mapped to itself. An ordinary user may map nobody but itself, to root.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _enter_as_root(_identity("uid_map"), _identity("gid_map"))
    else:
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    rootfs.own_mounts()
    return " ".join(Path("/proc/self/uid_map").read_text().split())


def _identity(name: str) -> str:
    """The users that exist here (root may itself be in a user namespace), each mapped to itself."""
    lines = []
    for line in Path("/proc/self", name).read_text().splitlines():
        first, _, count = map(int, line.split())
        if first < _MAX_ID:
            lines.append(f"{first} {first} {min(count, _MAX_ID - first)}")
    return "\n".join(lines)


def _enter_as_root(uids: str, gids: str) -> None:
    """A child that stays outside writes the mapping: inside, we have no rights over the namespace that we came from."""
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(writer)
            if os.read(reader, 1):
                Path(f"/proc/{parent}/uid_map").write_text(uids)
                Path(f"/proc/{parent}/gid_map").write_text(gids)
                status = 0
        finally:
            os._exit(status)
    os.close(reader)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        os.write(writer, b".")
    finally:
        os.close(writer)
        _, status = os.waitpid(child, 0)
    if status:
        raise PermissionError(f"write /proc/{parent}/uid_map: the mapping of users {uids!r} was refused")
