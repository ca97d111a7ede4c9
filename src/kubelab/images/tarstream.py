"""Tars as Docker makes them, to the byte: a layer's name is the digest of its tar.

The bytes of an entry are those of Go's archive/tar in the format PAX, which moby asks for (pkg/archive
FileInfoHeader): the plain header holds what fits, and all else stands in a record before it. At the end come the two
zero blocks that the format wants; Python's own `tarfile` fills up to 10,240 bytes, and the digest of an empty layer
would not be the one that every engine knows (5f70bf18…).
"""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
from typing import BinaryIO

_BLOCK = tarfile.BLOCKSIZE
_NAME, _OWNER = 100, 32  # bytes that the plain header has for names
_NUMBER = {"mode": 8, "uid": 8, "gid": 8, "size": 12, "mtime": 12}  # bytes of its octal numbers, the NUL included
XATTR = "SCHILY.xattr."  # before the name of an extended attribute, in a record


class TarWriter:
    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def add(self, entry: tarfile.TarInfo, content: BinaryIO | None = None) -> None:
        """Append an entry; `content` is read for `entry.size` bytes."""
        self._target.write(header(entry))
        if content is not None and entry.size:
            start = self._target.tell()
            shutil.copyfileobj(content, self._target, 1 << 20)
            if self._target.tell() - start != entry.size:
                raise OSError(f"{entry.name} changed while it was read: {entry.size} bytes were announced")
            self._target.write(bytes(-entry.size % _BLOCK))

    def close(self) -> None:
        self._target.write(bytes(2 * _BLOCK))


def header(entry: tarfile.TarInfo) -> bytes:
    """The entry's header, after its records where it needs some. `entry.mode` is written as it is."""
    name = os.fsencode(entry.name + ("/" if entry.isdir() else ""))
    texts = {"path": name, "linkpath": os.fsencode(entry.linkname)}
    owners = {"uname": os.fsencode(entry.uname), "gname": os.fsencode(entry.gname)}
    numbers = {field: int(getattr(entry, field)) for field in _NUMBER}
    records = {key: value for key, value in texts.items() if len(value) > _NAME or not value.isascii()}
    records |= {key: value for key, value in owners.items() if len(value) > _OWNER or not value.isascii()}
    records |= {field: b"%d" % number for field, number in numbers.items() if not _fits(field, number)}
    records |= {key: os.fsencode(text) for key, text in entry.pax_headers.items() if key.startswith(XATTR)}
    plain = _block(name, entry.type, numbers, texts["linkpath"], owners, entry.devmajor, entry.devminor)
    return (_records(name, records) if records else b"") + plain


def _fits(field: str, number: int) -> bool:
    return 0 <= number < 8 ** (_NUMBER[field] - 1)


def _block(
    name: bytes, kind: bytes, numbers: dict[str, int], link: bytes, owners: dict[str, bytes], major: int, minor: int
) -> bytes:
    octal = {field: _octal(number if _fits(field, number) else 0, _NUMBER[field]) for field, number in numbers.items()}
    parts = [
        _text(name, _NAME), octal["mode"], octal["uid"], octal["gid"], octal["size"], octal["mtime"], b" " * 8, kind,
        _text(link, _NAME), b"ustar\x0000", _text(owners["uname"], _OWNER), _text(owners["gname"], _OWNER),
        _octal(major, 8), _octal(minor, 8),
    ]  # fmt: skip
    return _with_checksum(b"".join(parts))


def _records(name: bytes, records: dict[str, bytes]) -> bytes:
    """The entry that goes before: `length key=value` lines under a name of its own."""
    data = b"".join(_record(key.encode(), value) for key, value in sorted(records.items()))
    folder, _, file = name.rpartition(b"/")
    own_name = posixpath.normpath(b"/".join(filter(None, (folder, b"PaxHeaders.0", file))))
    own_name = bytes(byte for byte in own_name if byte < 0x80)[:_NAME].rstrip(b"/")
    parts = [
        _text(own_name, _NAME), _octal(0, 8), _octal(0, 8), _octal(0, 8), _octal(len(data), 12), _octal(0, 12),
        b" " * 8, b"x", bytes(_NAME), b"ustar\x0000",
    ]  # fmt: skip
    return _with_checksum(b"".join(parts)) + data + bytes(-len(data) % _BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """The length counts itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) != len(str(rest)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _text(text: bytes, size: int) -> bytes:
    """What fits of its ASCII; a name that is cut must not end like a folder's."""
    plain = bytes(byte for byte in text if 0 < byte < 0x80)
    if len(plain) > size and plain[size - 1 : size] == b"/":
        plain = plain[:size].rstrip(b"/")
    return plain[:size].ljust(size, b"\0")


def _octal(number: int, size: int) -> bytes:
    return b"%0*o\0" % (size - 1, number)


def _with_checksum(start: bytes) -> bytes:
    block = start.ljust(_BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
