"""A layer that a build writes itself (COPY, ADD, WORKDIR), planned file by file and then written as a tar.

Folders on the way to a new file are in the layer too, as overlayfs would have copied them up: those that the image has
with their own attributes, new ones with mode 0755.
"""

from __future__ import annotations

import copy
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, BinaryIO

from kubelab.images.changes import entry
from kubelab.images.tarstream import TarWriter
from kubelab.images.view import MergedView

Opener = Callable[[], IO[bytes]]


class Addition:
    """`owner`: uid and gid of what is new."""

    def __init__(self, view: MergedView, owner: tuple[int, int] = (0, 0)) -> None:
        self._view, self._owner = view, owner
        self._entries: dict[str, tuple[tarfile.TarInfo, Opener | None]] = {}
        self._now = int(time.time())

    def folder(self, path: str) -> None:
        """The folder `path` (absolute, resolved) and all above it. Raises NotADirectoryError."""
        for each in [*reversed(PurePosixPath(path).parents), PurePosixPath(path)]:
            name = str(each).lstrip("/")
            if not name or name in self._entries:
                if name and not self._entries[name][0].isdir():
                    raise NotADirectoryError(f"mkdir {each}: not a directory")
                continue
            status = self._view.lstat(str(each))
            if status is not None and not self._view.is_dir(str(each)):
                raise NotADirectoryError(f"mkdir {each}: not a directory")
            self._entries[name] = (entry(name, status) if status else self._new_folder(name), None)

    def _new_folder(self, name: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, self._now
        info.uid, info.gid = self._owner
        return info

    def put(self, path: str, source: tarfile.TarInfo, content: Opener | None, *, keep_owner: bool = False) -> None:
        """A file, folder or link at `path` (absolute), like `source`, but with our owner unless it keeps its own."""
        self.folder(str(PurePosixPath(path).parent))
        name = path.strip("/")
        if not name:
            return
        info = copy.copy(source)
        info.name, info.uname, info.gname, info.pax_headers = name, "", "", {}
        info.mtime = int(source.mtime)
        if not keep_owner:
            info.uid, info.gid = self._owner
        self._entries[name] = (info, content)

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
