"""Whose a volume's files are: `fsGroup`, and the user that all containers of a pod run as.

Upstream: pkg/volume/volume_linux.go (SetVolumeOwnership), FsUserFrom in pkg/volume/util/util.go. Where the lab runs as
an ordinary user, there is only that one user and group, and every file is its own already.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Pod

WRITABLE, READABLE, FOLDER = 0o660, 0o440, 0o2110  # what is added to a mode; a folder hands its group on


def fs_group(pod: Pod) -> int | None:
    return _security(pod).get("fsGroup")


def fs_user(pod: Pod) -> int | None:
    """The user that all of the pod's containers run as, where they agree on one."""
    users = set()
    for container in podutil.all_containers(pod):
        users.add({**_security(pod), **(container.get("securityContext") or {})}.get("runAsUser"))
    return users.pop() if len(users) == 1 else None


def give_to_group(pod: Pod, root: Path, *, readonly: bool) -> None:
    """Make the group of `root` and all below it the pod's fsGroup, with the rights that a group needs.

    With fsGroupChangePolicy OnRootMismatch nothing is done where the root has them already.
    """
    group = fs_group(pod)
    if group is None:
        return
    if _security(pod).get("fsGroupChangePolicy") == "OnRootMismatch" and _has(root, group, readonly):
        return
    for folder, _, names in os.walk(root):
        for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118 - os.walk's strings
            _give(path, group, readonly)


def give_to_user(path: Path, user: int) -> None:
    with contextlib.suppress(PermissionError):
        os.chown(path, user, -1)


def _give(path: str, group: int, readonly: bool) -> None:
    """Not through symbolic links, whose targets may be anywhere."""
    with contextlib.suppress(PermissionError):
        os.chown(path, -1, group, follow_symlinks=False)
        if not Path(path).is_symlink():
            Path(path).chmod(_mode(path, readonly))


def _mode(path: str | Path, readonly: bool) -> int:
    mode = Path(path).stat().st_mode & 0o7777 | (READABLE if readonly else WRITABLE)
    return mode | FOLDER if Path(path).is_dir() else mode


def _has(root: Path, group: int, readonly: bool) -> bool:
    found = root.stat()
    return found.st_gid == group and found.st_mode & 0o7777 == _mode(root, readonly)


def _security(pod: Pod) -> dict[str, Any]:
    return pod["spec"].get("securityContext") or {}
