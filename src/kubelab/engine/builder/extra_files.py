"""Files that a COPY or ADD takes from elsewhere than its source: the texts of heredocs, and what ADD has fetched."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kubelab.engine.builder.source import Source, header
from kubelab.images.changes import normal


@dataclass(frozen=True)
class ExtraFile:
    content: bytes | Path
    mode: int = 0o644
    mtime: int = 0
    fetched: bool = False  # by ADD

    def entry(self, name: str) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.mode, info.mtime = self.mode, self.mtime
        info.size = self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)
        return info

    def open(self) -> IO[bytes]:
        return self.content.open("rb") if isinstance(self.content, Path) else io.BytesIO(self.content)


class WithExtraFiles(Source):
    """`source` with `files` at its root, which no ADD unpacks."""

    def __init__(self, source: Source, files: Mapping[str, ExtraFile]) -> None:
        self._source, self._files, self.keeps_owners = source, files, source.keeps_owners

    def as_is(self, name: str) -> bool:
        return name in self._files

    def hash(self, name: str) -> str:
        """What was fetched is hashed like a file of an image, and shown without a `file:` (dockerd 20.10)."""
        if name not in self._files or not self._files[name].fetched:
            return super().hash(name)
        digest = hashlib.sha256(header(normal(self._files[name].entry(name)), owners=True))
        with self._files[name].open() as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def get(self, name: str) -> tarfile.TarInfo | None:
        return self._files[name].entry(name) if name in self._files else self._source.get(name)

    def as_sent(self, name: str) -> tarfile.TarInfo | None:
        return self.get(name) if name in self._files else self._source.as_sent(name)

    def exists(self, name: str) -> bool:
        return name in self._files or self._source.exists(name)

    def is_dir(self, name: str) -> bool:
        return name not in self._files and self._source.is_dir(name)

    def open(self, name: str) -> IO[bytes]:
        return self._files[name].open() if name in self._files else self._source.open(name)

    def walk(self, folder: str) -> Iterator[str]:
        return self._source.walk(folder)

    def resolve(self, name: str) -> str:
        return name if name in self._files else self._source.resolve(name)

    def inode(self, name: str) -> Hashable:
        return self._source.inode(name)

    def missing(self, name: str) -> str:
        return self._source.missing(name)
