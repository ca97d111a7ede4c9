"""Whiteouts: how a layer says that something below it is gone.

In a layer's tar (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts) an empty file `.wh.NAME`
hides NAME, and `.wh..wh..opq` hides all that lower layers have in its folder. On disk overlayfs wants a character
device 0,0 in NAME's place, and the xattr `user.overlay.opaque` (Linux: Documentation/filesystems/overlayfs.rst).
Both may be made by an ordinary user (mknod of 0,0 since Linux 5.8). Where a seccomp filter or the file system forbids
them, overlayfs is out of reach too: then the tar's own form is kept on disk, and read like the other.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

PREFIX = ".wh."
OPAQUE = ".wh..wh..opq"
_XATTR = "user.overlay.opaque"


def hide(path: Path) -> None:
    """Make a whiteout that hides `path` of the layers below."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))
    except (PermissionError, NotImplementedError):
        path.with_name(PREFIX + path.name).touch()


def make_opaque(folder: Path) -> None:
    """Hide what the layers below have in `folder`."""
    try:
        os.setxattr(folder, _XATTR, b"y")
    except OSError:
        (folder / OPAQUE).touch()


def is_device(entry: os.stat_result) -> bool:
    """Whether a file with this status is overlayfs' whiteout."""
    return stat.S_ISCHR(entry.st_mode) and entry.st_rdev == 0


def is_opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, _XATTR, follow_symlinks=False) == b"y"
    except OSError:
        return os.path.lexists(folder / OPAQUE)


def hides(folder: Path, name: str) -> bool:
    """Whether `folder`, as one layer has it, hides `name` of the layers below."""
    try:
        if is_device((folder / name).lstat()):
            return True
    except (FileNotFoundError, NotADirectoryError):
        pass
    return os.path.lexists(folder / (PREFIX + name))
