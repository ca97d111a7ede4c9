"""`COPY --from`: the files of a stage or image as a source (moby: builder/remotecontext/lazycontext.go)."""

from __future__ import annotations

import grp
import pwd
import stat
import tarfile
from collections.abc import Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import IO

from kubelab.engine.builder.source import Source
from kubelab.images.changes import entry
from kubelab.images.view import MergedView


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


class ImageFiles(Source):
    """Read from the image's unpacked layers, without mounting them."""

    keeps_owners = True

    def __init__(self, view: MergedView) -> None:
        self._view = view

    def get(self, name: str) -> tarfile.TarInfo | None:
        """As Go's FileInfoHeader has it: the mode with the bits of the file's type, the owners' names of this host."""
        found = self._view.find(f"/{name}") if name else None
        if found is None:
            return None
        status = found.lstat()
        info = entry(name, status)
        info.mode, info.uname, info.gname = status.st_mode, _user(info.uid), _group(info.gid)
        if stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, str(found.readlink())
        return info

    def exists(self, name: str) -> bool:
        return name == "" or self._view.find(f"/{name}") is not None

    def is_dir(self, name: str) -> bool:
        return self._view.is_dir(f"/{name}")

    def open(self, name: str) -> IO[bytes]:
        found: Path | None = self._view.find(f"/{name}")
        if found is None:
            raise FileNotFoundError(self.missing(name))
        return found.open("rb")

    def walk(self, folder: str) -> Iterator[str]:
        if folder:
            yield folder
        if self.is_dir(folder):
            for name in self._view.names(f"/{folder}"):
                yield from self.walk(f"{folder}/{name}" if folder else name)

    def resolve(self, name: str) -> str:
        return self._view.resolve(f"/{name}").removeprefix("/")

    def inode(self, name: str) -> Hashable:
        status = self._view.lstat(f"/{name}")
        return (status.st_dev, status.st_ino) if status else name

    def _dangling(self, name: str, target: str) -> str:
        return target

    def missing(self, name: str) -> str:
        return f"stat {name}: file does not exist"
