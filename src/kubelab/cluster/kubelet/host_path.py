"""hostPath volumes: paths on the node's own disk, which is a folder of the lab's, `$KUBELAB_HOME/nodes/<name>/disk`.

Nothing of the machine that the lab runs on can be reached, not through a symbolic link either. The type checks and
their words are upstream's (pkg/volume/hostpath/host_path.go).
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

from kubelab.cluster.kubelet.volume_content import VolumeError

CHECKS = {
    "Directory": (stat.S_ISDIR, "is not a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "is not a directory"),
    "File": (stat.S_ISREG, "is not a file"),
    "FileOrCreate": (stat.S_ISREG, "is not a file"),
    "Socket": (stat.S_ISSOCK, "is not a socket file"),
    "CharDevice": (stat.S_ISCHR, "is not a character device"),
    "BlockDevice": (stat.S_ISBLK, "is not a block device"),
}


def find(disk: Path, source: dict[str, Any]) -> Path:
    """The place on `disk` that the volume means, made where its type says so. VolumeError where it is another thing."""
    asked, kind = source["path"], source.get("type") or ""
    path = disk / asked.lstrip("/")
    disk.mkdir(parents=True, exist_ok=True)
    if not path.resolve().is_relative_to(disk.resolve()):
        raise VolumeError(f"hostPath type check failed: {asked} leads out of the node's disk, {disk}")
    if kind in ("", "DirectoryOrCreate") and not path.exists():
        path.mkdir(parents=True)
    elif kind == "FileOrCreate" and not path.exists():
        if not path.parent.is_dir():
            raise VolumeError(f"open {asked}: no such file or directory")
        path.touch()
    if kind:
        _check(path, asked, kind)
    return path.resolve()


def _check(path: Path, asked: str, kind: str) -> None:
    if kind not in CHECKS:
        raise VolumeError(f"{kind} is an invalid volume type")
    is_kind, problem = CHECKS[kind]
    if not path.exists() or not is_kind(path.stat().st_mode):
        raise VolumeError(f"hostPath type check failed: {asked} {problem}")
