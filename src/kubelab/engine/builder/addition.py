"""A layer that a build writes itself (COPY, ADD, WORKDIR), planned file by file and then written as a tar.

Folders on the way to a new file are in the layer too, as overlayfs would have copied them up: those that the image has
with their own attributes, new ones with mode 0755.
"""

from __future__ import annotations

import copy
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from kubelab.images.changes import entry, name_owners, normal
from kubelab.images.tarstream import TarWriter
from kubelab.images.view import MergedView

Opener = Callable[[], IO[bytes]]


class Addition:
    """`owner`: uid and gid of what is new."""

    def __init__(self, view: MergedView, owner: tuple[int, int] = (0, 0)) -> None:
        self._view, self._owner = view, owner
        self._entries: dict[str, tuple[tarfile.TarInfo, Opener | None]] = {}
        self._now = int(time.time())
        self._given: set[str] = set()  # folders whose time comes from their source

    def folder(self, path: str, owner: tuple[int, int] | None = None) -> None:
        """The folder `path` and all above it; new ones are `owner`'s. Raises NotADirectoryError."""
        for each in [*reversed(PurePosixPath(path).parents), PurePosixPath(path)]:
            name = str(each).lstrip("/")
            if not name or name in self._entries:
                if name and not self._entries[name][0].isdir():
                    raise NotADirectoryError(f"mkdir {each}: not a directory")
                continue
            status = self._view.lstat(str(each))
            if status is not None and not self._view.is_dir(str(each)):
                raise NotADirectoryError(f"mkdir {each}: not a directory")
            self._entries[name] = (entry(name, status) if status else self._new_folder(name, owner), None)
            if status is None:
                self._touch(name)

    def _touch(self, name: str) -> None:
        """The folder that holds `name` has got something new, so its time is now."""
        parent = str(PurePosixPath(name).parent)
        if parent in self._entries and parent not in self._given:
            self._entries[parent][0].mtime = self._now

    def _new_folder(self, name: str, owner: tuple[int, int] | None) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, self._now
        info.uid, info.gid = owner or self._owner
        return normal(info)

    def put(self, path: str, source: tarfile.TarInfo, content: Opener | None, *, keep_owner: bool = False) -> None:
        """A file, folder or link at `path` (absolute), like `source`, but with our owner unless it keeps its own."""
        self.folder(str(PurePosixPath(path).parent))
        name = path.strip("/")
        if not name:
            return
        info = copy.copy(source)
        info.name = name
        if not keep_owner:
            info.uid, info.gid = self._owner
        self._entries[name] = (normal(info), content)
        if info.isdir():
            self._given.add(name)
        self._touch(name)

    def like_link(self, link: tarfile.TarInfo) -> None:
        """Give the file that the hard link names the link's attributes: it is one file, and the link came later."""
        if link.linkname in self._entries:
            file = self._entries[link.linkname][0]
            mode = stat.S_IFMT(file.mode) | stat.S_IMODE(link.mode)
            file.mode, file.uid, file.gid, file.mtime = mode, link.uid, link.gid, int(link.mtime)
            name_owners(file)

    def write(self) -> BinaryIO:
        """The layer's tar, at its start; the caller closes it."""
        target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
        writer = TarWriter(target)
        for _, (info, content) in sorted(self._entries.items(), key=lambda item: item[0].split("/")):
            if content is None:
                writer.add(info)
            else:
                with content() as file:
                    writer.add(info, file)
        writer.close()
        target.seek(0)
        return target
