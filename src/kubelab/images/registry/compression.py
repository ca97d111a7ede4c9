"""A layer's tar as it travels: gzip, zstd or plain."""

from __future__ import annotations

import gzip
import io
import shutil
from typing import IO, Any, BinaryIO, cast

from kubelab.images.registry.manifests import InvalidManifest

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 20
WINDOW = 128 << 20  # bytes: what zstd's own command allows without being told more


def plain(file: IO[bytes]) -> BinaryIO:
    """The tar in `file`, which is read from its start."""
    file.seek(0)
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP):
        return cast(BinaryIO, gzip.open(file))
    if magic == ZSTD:
        return _zstd(file)
    return cast(BinaryIO, file)


def _zstd(file: IO[bytes]) -> BinaryIO:
    import zstandard  # few images need it, and it weighs a megabyte

    reader = zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)
    return cast(BinaryIO, _Zstd(reader))


class _Zstd(io.RawIOBase):
    """zstandard's reader, whose errors are ours."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        import zstandard

        try:
            return self._reader.read(size)
        except zstandard.ZstdError as error:
            raise InvalidManifest(f"failed to register layer: {error}") from error


def compress(source: IO[bytes], target: IO[bytes]) -> None:
    """gzip without a time or a name in it: the same tar gives the same bytes, and so the same digest."""
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="") as file:
        shutil.copyfileobj(source, file, CHUNK)
