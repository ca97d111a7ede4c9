"""A file tree that is planned before it is written: which path of an image gets which file of the host.

`/bin`, `/sbin`, `/lib` and `/lib64` are links into `/usr`, as in today's distributions, so that a path of the host
names the same file in the image. Written as a tar, the same plan gives the same bytes: sorted, root's, without times.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kubelab.images.tarstream import TarWriter

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Entry:
    """One path: a folder (neither source nor link), a file (its path on the host or its bytes), or a link."""

    source: Path | bytes | None = None
    link: str = ""
    mode: int = 0o755


class Tree:
    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        for name in MERGED:
            self.link(f"/{name}", f"usr/{name}")
            self.folder(f"/usr/{name}")

    def __contains__(self, path: str) -> bool:
        return _normal(path) in self._entries

    def folder(self, path: str, mode: int = 0o755) -> None:
        self._put(path, Entry(mode=mode))

    def link(self, path: str, target: str) -> None:
        self._put(path, Entry(link=target))

    def file(self, path: str, source: Path | bytes, mode: int | None = None) -> None:
        """A file with the content of `source`; without `mode`, only the host's right to execute is kept."""
        if mode is None:
            mode = 0o755 if isinstance(source, Path) and os.access(source, os.X_OK) else 0o644
        self._put(path, Entry(source=source, mode=mode))

    def _put(self, path: str, entry: Entry) -> None:
        name = _normal(path)
        for parent in reversed(PurePosixPath(name).parents):
            if parent.parts:
                self._entries.setdefault(str(parent), Entry())
        self._entries[name] = entry

    def write(self, target: BinaryIO) -> None:
        """Write the tree as a layer's tar. Raises OSError where a file of the host cannot be read."""
        writer = TarWriter(target)
        for name, entry in sorted(self._entries.items()):
            info = tarfile.TarInfo(name)
            info.mode = entry.mode
            if entry.link:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
                writer.add(info)
            elif entry.source is None:
                info.type = tarfile.DIRTYPE
                writer.add(info)
            else:
                _write_file(writer, info, entry.source)
        writer.close()


def _write_file(writer: TarWriter, info: tarfile.TarInfo, source: Path | bytes) -> None:
    if isinstance(source, bytes):
        info.size = len(source)
        writer.add(info, io.BytesIO(source))
        return
    with source.open("rb") as content:
        status = os.fstat(content.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{source} is no regular file")
        info.size = status.st_size
        writer.add(info, content)


def _normal(path: str) -> str:
    name = path.strip("/")
    first, slash, rest = name.partition("/")
    return f"usr/{first}/{rest}" if slash and first in MERGED else name
