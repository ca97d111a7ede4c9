"""An archive as it travels: plain, or compressed with gzip, bzip2, xz or zstd; its first bytes tell.

Upstream: DetectCompression and DecompressStream in moby's pkg/archive. A name's ending tells nothing.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from typing import IO, Any, BinaryIO, cast

from kubelab.images.limits import copy_limited

WINDOW = 128 << 20  # bytes: what zstd's own command allows without being told more


class Damaged(tarfile.ReadError):
    """What is compressed is cut off, or is not what its first bytes say."""


def stream(file: IO[bytes]) -> BinaryIO:
    """What is in `file`, from its start, to be read once and in order; raises Damaged where it breaks off."""
    file.seek(0)
    start = file.read(6)
    file.seek(0)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    return cast(BinaryIO, file if opener is None else _Decompressing(opener(file)))


def decompressed(file: IO[bytes]) -> IO[bytes]:
    """The same, to be read in any order: `file` itself, or a temporary file. Raises Damaged, TooMuch."""
    source = stream(file)
    if source is file:
        return file
    target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
    copy_limited(source, target)
    target.seek(0)
    return target


def _zstd(file: IO[bytes]) -> Any:
    import zstandard  # few archives need it, and it weighs a megabyte

    return zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)


_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
    b"\x28\xb5\x2f\xfd": _zstd,
}


class _Decompressing(io.RawIOBase):
    """A decompressor's reader, whose many kinds of errors are one."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._reader.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise Damaged(str(error)) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":  # its module is loaded only where it is needed
                raise
            raise Damaged(str(error)) from error
