"""The build context that every Dockerfile in corpus/ is built with: each kind of file, with times that are fixed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile

MTIME = 1_600_000_000
LONG = "long/" + "d" * 90 + "/" + "f" * 120  # too long for a plain tar header


def _entry(name: str, content: str | bytes = b"", **fields) -> tuple[tarfile.TarInfo, bytes]:
    data = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(name)
    info.mode, info.mtime, info.size = (0o755 if name.endswith("/") else 0o644), MTIME, len(data)
    if name.endswith("/"):
        info.type = tarfile.DIRTYPE
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def _link(name: str, target: str, type: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return _entry(name, type=type, linkname=target, mode=0o777)


def _tar(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


PLAIN = _tar(
    _entry("t/", mode=0o750, uid=10, gid=20),
    _entry("t/file", "in a tar\n", uid=10, gid=20, uname="tenth", gname="twentieth"),
    _entry("t/setuid", "x", mode=0o4755),
    _link("t/link", "file"),
    _link("t/hard", "t/file", tarfile.LNKTYPE),
    _entry("a.txt", "replaces\n"),
    _entry("implied/deep/file", "folders without entries\n"),
)
SPECIAL = _tar(
    _entry("./"),
    _entry("./dot", "name with a dot\n"),
    _entry("fraction", "time", mtime=MTIME + 0.5),
    _entry("z/", mode=0o700),
    _entry("z/pipe", type=tarfile.FIFOTYPE),
    _link("z/absolute", "/etc/passwd"),
    _link("z/up", "../dot"),
    _entry("twice", "first"),
    _entry("twice", "second"),
    _entry("x", "with an attribute", pax_headers={"SCHILY.xattr.user.note": "kept"}),
)


def context(dockerfile: str, ignore: str = "") -> bytes:
    """The context's tar with this Dockerfile in it."""
    entries = [
        _entry("Dockerfile", dockerfile),
        *([_entry(".dockerignore", ignore)] if ignore else []),
        _entry(".hidden", "hidden\n"),
        _entry("a b.txt", "a blank in its name\n"),
        _entry("app.py", "print('hello')\n"),
        _entry("b.txt", "b\n"),
        _entry("bz2.tar.bz2", bz2.compress(PLAIN)),
        _link("dirlink", "sub"),
        _entry("empty/"),
        _entry("gz.tar.gz", gzip.compress(PLAIN, mtime=0)),
        _link("link.py", "app.py"),
        _entry("long/"),
        _entry(f"{LONG.rpartition('/')[0]}/"),
        _entry(LONG, "long\n"),
        _entry("modes/"),
        _entry("modes/executable", "#!/bin/sh\n", mode=0o755),
        _entry("modes/private", "p", mode=0o600),
        _entry("modes/setgid", "g", mode=0o2755),
        _entry("modes/setuid", "u", mode=0o4711),
        _entry("modes/sticky/", mode=0o1777),
        _entry("modes/unreadable", "n", mode=0),
        _entry("not.gz", gzip.compress(b"no tar\n", mtime=0)),
        _entry("owned", "by somebody\n", uid=1000, gid=1001, uname="me", gname="us"),
        _entry("plain.tar", PLAIN),
        _entry("run.sh", "#!/bin/sh\necho run\n", mode=0o755),
        _entry("special.tar", SPECIAL),
        _entry("sub/"),
        _entry("sub/a.txt", "data\n", mode=0o640),
        _link("sub/broken", "nowhere"),
        _entry("sub/deep/"),
        _entry("sub/deep/b.txt", "deep\n"),
        _entry("sub/deep2/"),
        _entry("sub/deep2/c.txt", "deeper\n"),
        _link("sub/hard", "sub/a.txt", tarfile.LNKTYPE),
        _link("sub/up", "../app.py"),
        _entry("tars/"),
        _entry("tars/inner.tar", PLAIN),
        _entry("xattr/"),
        _entry("xattr/f", "x", pax_headers={"SCHILY.xattr.user.note": "kept"}),
        _entry("xz.tar.xz", lzma.compress(PLAIN)),
        _entry("é.txt", "accent\n"),
    ]
    return _tar(*entries)
