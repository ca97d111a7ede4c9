"""`COPY --from`: the files of a stage or image as a source (moby: builder/remotecontext/lazycontext.go)."""

from __future__ import annotations

import stat
import tarfile
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import IO

from kubelab.engine.builder.source import Source
from kubelab.images.changes import entry, name_owners
from kubelab.images.unpack import entry_path
from kubelab.images.view import MergedView


class Owners:
    """Who owns the files of layers, as their tars say it: on an ordinary user's disk all belong to that user.

    `tars`: unpacked layer → its tar.
    """

    def __init__(self, tars: Mapping[Path, Path]) -> None:
        self._tars, self._read = tars, cache(_owners)

    def of(self, found: Path) -> tuple[int, int]:
        """uid and gid of a file that lies in one of the unpacked layers."""
        for folder, tar in self._tars.items():
            if found.is_relative_to(folder):
                return self._read(tar).get(found.relative_to(folder).as_posix(), (0, 0))
        return 0, 0


def _owners(tar: Path) -> dict[str, tuple[int, int]]:
    with tarfile.open(tar, "r:") as archive:
        return {str(entry_path(member.name)): (member.uid, member.gid) for member in archive}


class ImageFiles(Source):
    """Read from the image's unpacked layers, without mounting them."""

    keeps_owners = True

    def __init__(self, view: MergedView, owners: Owners | None = None) -> None:
        self._view, self._owners = view, owners

    def get(self, name: str) -> tarfile.TarInfo | None:
        """As Go's FileInfoHeader has it: the mode with the bits of the file's type, the owners' names of this host."""
        found = self._view.find(f"/{name}") if name else None
        if found is None:
            return None
        status = found.lstat()
        info = entry(name, status)
        if self._owners:
            info.uid, info.gid = self._owners.of(found)
            name_owners(info)
        if stat.S_ISLNK(status.st_mode):
            info.linkname = str(found.readlink())
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
