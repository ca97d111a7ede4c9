"""A layer's tar as it travels: gzip, zstd where Python has it (from 3.14 on), or plain."""

from __future__ import annotations

import gzip
import importlib
import shutil
from typing import IO, BinaryIO, cast

from kubelab.images.registry.manifests import InvalidManifest

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
CHUNK = 1 << 20


class UnsupportedCompression(InvalidManifest):
    """Nothing here reads it."""


def plain(file: IO[bytes]) -> BinaryIO:
    """The tar in `file`, which is read from its start. Raises UnsupportedCompression."""
    file.seek(0)
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(GZIP):
        return cast(BinaryIO, gzip.open(file))
    if magic == ZSTD:
        return _zstd(file)
    return cast(BinaryIO, file)


def _zstd(file: IO[bytes]) -> BinaryIO:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        raise UnsupportedCompression(
            "a layer is compressed with zstd, which needs Python 3.14: take an image whose layers are gzip"
        ) from None
    return module.open(file)


def compress(source: IO[bytes], target: IO[bytes]) -> None:
    """gzip without a time or a name in it: the same tar gives the same bytes, and so the same digest."""
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="") as file:
        shutil.copyfileobj(source, file, CHUNK)
