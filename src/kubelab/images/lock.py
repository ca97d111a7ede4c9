"""One lock across processes, and files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive flock(2) on `path` (made where missing). Released by the kernel when its holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def own_prefix() -> str:
    """How the name of a half-made file begins: it says whose it is, so that it goes when its maker has been killed."""
    return f".{os.getpid()}-"


def abandoned(path: Path, older_than: float) -> bool:
    """Whether nobody will finish the half-made `path`: its maker is gone, or it is older than that many seconds."""
    maker = path.name.removeprefix(".").partition("-")[0]
    if maker.isdigit() and not Path("/proc", maker).exists():
        return True
    with contextlib.suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime > older_than
    return False


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: whoever reads sees the old file or the new one, never a part."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=own_prefix())
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
