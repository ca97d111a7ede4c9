"""A layer's tar, unpacked into a folder that overlayfs can mount, without trusting a byte of it.

Rules from moby pkg/archive (`diff.go` UnpackLayer, `archive.go` createTarFile): no entry leaves the folder, neither by
its own name nor through a link; whiteouts become what overlayfs understands (whiteout.py). Symbolic links are kept as
they are, wherever they point: their root is the container's, and nothing here follows one. Device nodes are refused: an
ordinary user cannot make them, and no image of the course needs them.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kubelab.images import whiteout
from kubelab.images.limits import Count
from kubelab.images.unsafe import UnsafeArchive


def unpack(source: BinaryIO, target: Path, *, chown: bool | None = None) -> int:
    """Unpack the layer tar `source` (plain, not compressed) into the empty folder `target`.

    `chown` gives files the owners that the tar names (default: where we are root; an ordinary user's user namespace has
    one owner only). Returns the size of the layer as `docker history` counts: the bytes of its files and links.
    Raises UnsafeArchive, or tarfile.TarError where it is no tar.
    """
    layer, count = _Unpacker(target, os.geteuid() == 0 if chown is None else chown), Count()
    with tarfile.open(fileobj=source, mode="r:") as archive:
        for member in archive:
            count.add(member.name, member.size)
            layer.add_or_refuse(archive, member)
    layer.finish()
    return layer.size


# What the kernel says of a name or a link that cannot be; everything else (a full disk, …) is no fault of the archive.
_IMPOSSIBLE = (errno.ENAMETOOLONG, errno.EINVAL, errno.ENOENT, errno.EILSEQ)


def entry_path(name: str) -> PurePosixPath:
    """The path of an entry below the root of its archive. Raises UnsafeArchive where it points out of it."""
    if name.startswith("/"):
        raise UnsafeArchive(f"{name!r} is an absolute path: names in an archive are relative to its root")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise UnsafeArchive(f"{name!r} is outside of the archive: a name must not contain '..'")
    return path


class _Unpacker:
    def __init__(self, root: Path, chown: bool) -> None:
        self.root, self.chown, self.size = root, chown, 0
        self._folders: list[tuple[Path, tarfile.TarInfo]] = []
        self._hidden: set[Path] = set()

    def add_or_refuse(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Unpack one entry. Raises UnsafeArchive, also for a name that no file can have."""
        try:
            self.add(archive, member)
        except (OSError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno not in _IMPOSSIBLE:
                raise
            raise UnsafeArchive(f"{member.name!r} cannot be unpacked: {error}") from error
        except UnsafeArchive:
            raise
        except ValueError as error:  # a NUL within a name, a character that is none
            raise UnsafeArchive(f"{member.name!r} cannot be unpacked: {error}") from error

    def add(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        relative = entry_path(member.name)
        if not relative.parts:
            self._folders.append((self.root, member))
            return
        parent = self._parent(relative)
        if relative.name.startswith(whiteout.PREFIX):
            self._whiteout(parent, relative.name)
            return
        path = parent / relative.name
        self._clear(path, member)
        self._create(archive, member, path)
        if path in self._hidden and member.isdir():
            whiteout.make_opaque(path)

    def _parent(self, relative: PurePosixPath) -> Path:
        """The folder that holds the entry, made where missing; refuses to go through a link."""
        folder = self.root
        for part in relative.parts[:-1]:
            folder = folder / part
            try:
                mode = folder.lstat().st_mode
            except FileNotFoundError:
                folder.mkdir(mode=0o755)
                continue
            if not stat.S_ISDIR(mode):
                raise UnsafeArchive(f"{str(relative)!r} goes through {part!r}, which is no folder in this layer")
        return folder

    def _whiteout(self, parent: Path, name: str) -> None:
        if name == whiteout.OPAQUE:
            whiteout.make_opaque(parent)
        elif not name.startswith(whiteout.PREFIX * 2):  # `.wh..wh.plnk` and the like are AUFS' own business
            hidden = parent / name.removeprefix(whiteout.PREFIX)
            self._hidden.add(hidden)
            if not os.path.lexists(hidden):
                whiteout.hide(hidden)
            elif hidden.is_dir() and not hidden.is_symlink():
                whiteout.make_opaque(hidden)

    def _clear(self, path: Path, member: tarfile.TarInfo) -> None:
        """A later entry of the same name takes an earlier one's place; a folder is kept, with new attributes."""
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            path.unlink()
        elif not member.isdir():
            self._folders = [(folder, info) for folder, info in self._folders if not folder.is_relative_to(path)]
            shutil.rmtree(path)

    def _create(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        if member.isdir():
            path.mkdir(mode=0o700, exist_ok=True)
            self._folders.append((path, member))
            return
        if member.islnk():
            os.link(self._link_target(member), path, follow_symlinks=False)
            if not path.is_symlink():
                self._set_attributes(path, member)
            return
        if member.issym():
            path.symlink_to(member.linkname)
            self.size += len(os.fsencode(member.linkname))
        elif member.isfifo():
            os.mkfifo(path)
        elif member.isfile():
            self._write(archive, member, path)
        else:
            kind = "a device node" if member.isdev() else f"of the unknown type {member.type!r}"
            raise UnsafeArchive(f"{member.name!r} is {kind}, which is not unpacked: leave it out of the archive")
        self._set_attributes(path, member)

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        content = archive.extractfile(member)
        assert content is not None  # isfile() was asked
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        self.size += member.size

    def _link_target(self, member: tarfile.TarInfo) -> Path:
        target = self._parent(entry_path(member.linkname.removeprefix("/"))) / PurePosixPath(member.linkname).name
        if not os.path.lexists(target):
            raise UnsafeArchive(f"{member.name!r} is a hard link to {member.linkname!r}, which is not in this layer")
        if target.is_dir() and not target.is_symlink():
            raise UnsafeArchive(f"{member.name!r} is a hard link to {member.linkname!r}, which is a folder")
        return target

    def _set_attributes(self, path: Path, member: tarfile.TarInfo) -> None:
        if self.chown:
            os.chown(path, member.uid, member.gid, follow_symlinks=False)
        if not member.issym():
            path.chmod(stat.S_IMODE(member.mode))
        os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)

    def finish(self) -> None:
        """Folders last, the deepest first: a folder may be read-only, and its time changes with what is put in it."""
        for path, member in sorted(self._folders, key=lambda item: len(item[0].parts), reverse=True):
            self._set_attributes(path, member)
