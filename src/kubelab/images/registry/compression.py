"""A layer's tar as it goes to a registry."""

from __future__ import annotations

import gzip
import shutil
from typing import IO

CHUNK = 1 << 20


def compress(source: IO[bytes], target: IO[bytes]) -> None:
    """gzip without a time or a name in it: the same tar gives the same bytes, and so the same digest."""
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0, filename="") as file:
        shutil.copyfileobj(source, file, CHUNK)
