"""What a container changed: overlayfs' upper folder as a layer's tar.

The upper folder holds just the files that were written, and a whiteout for each that was deleted (whiteout.py); the tar
says the same in the words that every engine understands. Order, attributes and the marks for deleted files follow
moby pkg/archive (`archive.go` TarWithOptions, `whiteouts`): folders before what is in them, names sorted, times in
whole seconds. The same folder gives the same bytes.
"""

from __future__ import annotations

import copy
import grp
import os
import pwd
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from kubelab.images import whiteout
from kubelab.images.tarstream import XATTR, TarWriter

# What a runtime mounts over: a container cannot write there, and what it finds missing it has not made itself
# (moby keeps them in a layer of their own, daemon/initlayer).
MOUNT_POINTS = frozenset({"dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf"})
CAPABILITY = "security.capability"


def diff(upper: Path) -> BinaryIO:
    """The layer tar of an overlayfs upper folder, as a temporary file at its start; the caller closes it."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
    writer = TarWriter(target)
    links: dict[int, str] = {}  # inode number -> name of its first entry
    for path in _walk(upper, upper):
        name = path.relative_to(upper).as_posix()
        status = path.lstat()
        if whiteout.is_device(status):
            hidden = path.relative_to(upper).with_name(whiteout.PREFIX + path.name).as_posix()
            writer.add(_whiteout(hidden, entry(hidden, status)))
        elif not stat.S_ISSOCK(status.st_mode):
            _add(writer, path, name, status, links)
        if stat.S_ISDIR(status.st_mode) and whiteout.is_opaque(path) and not (path / whiteout.OPAQUE).exists():
            writer.add(_whiteout(f"{name}/{whiteout.OPAQUE}", entry(name, status)))
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
    """A tar entry with the attributes of a file: time in whole seconds, size only for files.

    As dockerd 20.10 has it, the mode goes with the bits of the file's type, and owners with the names that this machine
    has for them (moby pkg/archive: FileInfoHeader). The one uid of an ordinary user's containers is their root, so that
    is what the layer says.
    """
    info = tarfile.TarInfo(name)
    info.mode = status.st_mode
    info.mtime = int(status.st_mtime)
    if os.geteuid() == 0:
        info.uid, info.gid = status.st_uid, status.st_gid
    name_owners(info)
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISFIFO(status.st_mode):
        info.type = tarfile.FIFOTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type = tarfile.SYMTYPE
    elif stat.S_ISREG(status.st_mode):
        info.size = status.st_size
    return info


_TYPE_BITS = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}


def normal(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """An entry of any tar as it would be if it had been unpacked and packed again."""
    kept = copy.copy(info)
    kept.mode = stat.S_IMODE(info.mode) | _TYPE_BITS.get(info.type, stat.S_IFREG)
    kept.mtime, kept.pax_headers = int(info.mtime), {}
    capability = info.pax_headers.get(XATTR + CAPABILITY)
    if capability and info.isreg():
        kept.pax_headers = {XATTR + CAPABILITY: capability}
    return name_owners(kept)


def name_owners(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give the entry the names that this machine has for its owners."""
    info.uname, info.gname = _user(info.uid), _group(info.gid)
    return info


@cache
def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


@cache
def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return ""


def _capability(path: Path) -> dict[str, str]:
    """The one extended attribute that layers carry (moby pkg/archive: ReadSecurityXattrToTarHeader)."""
    try:
        value = os.getxattr(path, CAPABILITY, follow_symlinks=False)
    except OSError:
        return {}
    return {XATTR + CAPABILITY: os.fsdecode(value)}


def _whiteout(name: str, folder_or_device: tarfile.TarInfo) -> tarfile.TarInfo:
    """The mark of what is gone: a device's takes its attributes, an opaque folder's has the folder's and no time."""
    info = copy.copy(folder_or_device)
    info.name, info.type, info.pax_headers = name, tarfile.REGTYPE, {}
    if folder_or_device.isdir():
        info.mode, info.mtime = folder_or_device.mode & 0o777, 0
    else:
        info.mode = 0o600
    return info


def _add(writer: TarWriter, path: Path, name: str, status: os.stat_result, links: dict[int, str]) -> None:
    info = entry(name, status)
    if stat.S_ISLNK(status.st_mode):
        info.linkname = str(path.readlink())
    elif stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1 and status.st_ino in links:
            info.type, info.size, info.linkname = tarfile.LNKTYPE, 0, links[status.st_ino]
        else:
            links[status.st_ino] = name
            info.pax_headers = _capability(path)
            with path.open("rb") as content:
                writer.add(info, content)
            return
    writer.add(info)
