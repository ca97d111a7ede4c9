"""What a container changed: overlayfs' upper folder as a layer's tar.

The upper folder holds just the files that were written, and a whiteout for each that was deleted (whiteout.py); the tar
says the same in the words that every engine understands. Order, attributes and the marks for deleted files follow
moby pkg/archive (`archive.go` TarWithOptions, `whiteouts`): folders before what is in them, names sorted, times in
whole seconds. The same folder gives the same bytes.
"""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from kubelab.images import whiteout
from kubelab.images.tarstream import TarWriter

# What a runtime mounts over: a container cannot write there, and what it finds missing it has not made itself
# (moby keeps them in a layer of their own, daemon/initlayer).
MOUNT_POINTS = frozenset({"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"})


def diff(upper: Path) -> BinaryIO:
    """The layer tar of an overlayfs upper folder, as a temporary file at its start; the caller closes it."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
    writer = TarWriter(target)
    links: dict[int, str] = {}  # inode number -> name of its first entry
    for path in _walk(upper, upper):
        name = path.relative_to(upper).as_posix()
        status = path.lstat()
        if whiteout.is_device(status):
            writer.add(_whiteout(path.relative_to(upper).with_name(whiteout.PREFIX + path.name).as_posix(), status))
        elif not stat.S_ISSOCK(status.st_mode):
            _add(writer, path, name, status, links)
        if stat.S_ISDIR(status.st_mode) and whiteout.is_opaque(path) and not (path / whiteout.OPAQUE).exists():
            writer.add(_whiteout(f"{name}/{whiteout.OPAQUE}", status))
    writer.close()
    target.seek(0)
    return target


def _walk(folder: Path, upper: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if _is_mount_point(path, upper):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, upper)


def _is_mount_point(path: Path, upper: Path) -> bool:
    """Whether the runtime made this, or it is a folder that holds nothing else."""
    if path.relative_to(upper).as_posix() in MOUNT_POINTS:
        return True
    if path != upper / "etc" or path.is_symlink() or not path.is_dir():
        return False
    return any(path.iterdir()) and all(_is_mount_point(inside, upper) for inside in path.iterdir())


def entry(name: str, status: os.stat_result) -> tarfile.TarInfo:
    """A tar entry with the attributes of a file: no names of owners, time in whole seconds, size only for files.

    The one uid of an ordinary user's containers is their root, so that is what the layer says.
    """
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(status.st_mode)
    info.mtime = int(status.st_mtime)
    if os.geteuid() == 0:
        info.uid, info.gid = status.st_uid, status.st_gid
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISFIFO(status.st_mode):
        info.type = tarfile.FIFOTYPE
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    return info


def _whiteout(name: str, status: os.stat_result) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = 0o600, int(status.st_mtime)
    return info


def _add(writer: TarWriter, path: Path, name: str, status: os.stat_result, links: dict[int, str]) -> None:
    info = entry(name, status)
    if stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1 and status.st_ino in links:
            info.type, info.size, info.linkname = tarfile.LNKTYPE, 0, links[status.st_ino]
        else:
            links[status.st_ino] = name
            with path.open("rb") as content:
                writer.add(info, content)
            return
    writer.add(info)
