"""Tars that are the same on every machine, for tests of layers and build contexts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

File = str | bytes | tuple[str | bytes, int] | tarfile.TarInfo


def make_tar(files: Mapping[str, File]) -> bytes:
    """A tar of `name: content`, `name: (content, mode)` or `name: TarInfo`; names that end with / are folders."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, file in files.items():
            if isinstance(file, tarfile.TarInfo):
                file.name = name
                tar.addfile(file)
                continue
            content, mode = file if isinstance(file, tuple) else (file, 0o755 if name.endswith("/") else 0o644)
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(data)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def special(type: bytes, linkname: str = "") -> tarfile.TarInfo:
    """A link, device or pipe for `make_tar`."""
    info = tarfile.TarInfo()
    info.type, info.linkname, info.mode = type, linkname, 0o777
    return info


def symlink(target: str) -> tarfile.TarInfo:
    return special(tarfile.SYMTYPE, target)


def hardlink(target: str) -> tarfile.TarInfo:
    return special(tarfile.LNKTYPE, target)
