"""Tars as Docker makes them: entries as given, and at the end the two zero blocks that the format asks for.

Python's own `tarfile` fills up to 10,240 bytes, after which the digest of an empty layer would not be the one that
every engine knows (5f70bf18…), so the entries' bytes come from `tarfile.TarInfo` and the frame from here.
"""

from __future__ import annotations

import shutil
import tarfile
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE


class TarWriter:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def add(self, entry: tarfile.TarInfo, content: BinaryIO | None = None) -> None:
        """Append an entry; `content` is read for `entry.size` bytes."""
        self._target.write(entry.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        if content is not None and entry.size:
            start = self._target.tell()
            shutil.copyfileobj(content, self._target, 1 << 20)
            if self._target.tell() - start != entry.size:
                raise OSError(f"{entry.name} changed while it was read: {entry.size} bytes were announced")
            self._target.write(bytes(-entry.size % _BLOCK))

    def close(self) -> None:
        self._target.write(bytes(2 * _BLOCK))
