"""How much an archive may hold before it counts as a bomb: a few kilobytes of gzip can become terabytes of zeros.

Generous for images and build contexts of people; each may be set by an environment variable of the engine's process.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO

from kubelab.images.unsafe import UnsafeArchive


class TooMuch(UnsafeArchive):
    """The archive holds more than is unpacked; the message says which limit it is."""


@dataclass(frozen=True)
class Limits:
    """`size`: bytes that an archive may have decompressed, and its files together; `entries`: how many there may be."""

    size: int = 16 << 30
    entries: int = 1_000_000

    @classmethod
    def current(cls) -> Limits:
        """$KUBELAB_MAX_ARCHIVE_BYTES and $KUBELAB_MAX_ARCHIVE_ENTRIES, else the defaults."""
        return cls(_number("KUBELAB_MAX_ARCHIVE_BYTES", cls.size), _number("KUBELAB_MAX_ARCHIVE_ENTRIES", cls.entries))


def _number(name: str, default: int) -> int:
    try:
        return int(os.environ.get(name) or default)
    except ValueError:
        return default


class Count:
    """What has been seen of one archive."""

    def __init__(self) -> None:
        self._limits, self._size, self._entries = Limits.current(), 0, 0

    def add(self, name: str, size: int) -> None:
        """One more entry. Raises TooMuch, naming it."""
        self._size, self._entries = self._size + max(size, 0), self._entries + 1
        if self._entries > self._limits.entries:
            raise TooMuch(f"{name!r} is one entry too many: an archive has at most {self._limits.entries}")
        if self._size > self._limits.size:
            raise TooMuch(f"{name!r} is too large: the files of an archive have at most {self._limits.size} bytes")


def copy_limited(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy to the end of `source`, which is being decompressed. Raises TooMuch."""
    left = Limits.current().size
    while chunk := source.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise TooMuch(f"the archive has more than {Limits.current().size} bytes when it is decompressed")
        target.write(chunk)
