"""The build context: the tar that the client sent, read where it lies.

It is not unpacked: what COPY takes is read from the tar by name, so nothing in it can reach the host's files. The hash
of a file, which the cache compares and `docker history` shows, is moby's tarsum version 1 (pkg/tarsum): the tar header
without its time, and the content.
"""

from __future__ import annotations

import bz2
import fnmatch
import gzip
import hashlib
import lzma
import posixpath
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO

from kubelab.engine.builder.ignore import ignored, read_patterns
from kubelab.engine.errors import DockerError
from kubelab.images.unpack import entry_path

_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_TYPES = {tarfile.AREGTYPE: tarfile.REGTYPE}
MAX_LINKS = 40


def plain(file: IO[bytes]) -> IO[bytes]:
    """The tar `file`, decompressed into a temporary file where it is compressed."""
    start = file.read(6)
    file.seek(0)
    opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
    if opener is None:
        return file
    target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
    with opener(file) as source:
        shutil.copyfileobj(source, target, 1 << 20)
    target.seek(0)
    return target


class BuildContext:
    """Names are relative, with slashes; `""` is the context itself. Raises tarfile.TarError, UnsafeArchive."""

    def __init__(self, tar: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=tar, mode="r:")  # noqa: SIM115 (as long as the context)
        self._entries = {str(entry_path(member.name)): member for member in self._tar}
        self._entries = {"" if name == "." else name: member for name, member in self._entries.items()}
        self._folders = {parent for name in self._entries for parent in _parents(name)}

    def hide_ignored(self, dockerfile: str) -> None:
        """Forget Dockerfile and .dockerignore where .dockerignore names them; called when they have been read."""
        if self.get(".dockerignore") is None:
            return
        patterns = read_patterns(self.open(".dockerignore").read().decode(errors="replace"))
        for name in (".dockerignore", dockerfile):
            if ignored(name, patterns):
                self._entries.pop(name, None)

    def get(self, name: str) -> tarfile.TarInfo | None:
        """The entry of that name, hard links followed. None: there is none, or it is a folder without an entry."""
        member = self._entries.get(name)
        return self._entries.get(str(entry_path(member.linkname))) if member and member.islnk() else member

    def exists(self, name: str) -> bool:
        return name == "" or name in self._entries or name in self._folders

    def is_dir(self, name: str) -> bool:
        member = self._entries.get(name)
        return member.isdir() if member else name == "" or name in self._folders

    def open(self, name: str) -> IO[bytes]:
        member = self.get(name)
        content = self._tar.extractfile(member) if member else None
        if content is None:
            raise FileNotFoundError(f"{name} is no file of the build context")
        return content

    def walk(self, folder: str) -> Iterator[str]:
        """Every name below `folder`, itself first, sorted part by part."""
        names = sorted({*self._entries, *self._folders} - {""}, key=lambda name: name.split("/"))
        prefix = f"{folder}/" if folder else ""
        return (name for name in names if name == folder or name.startswith(prefix))

    def resolve(self, name: str) -> str:
        """`name` with every symbolic link followed, as if the context were the root."""
        todo, done, links = list(reversed(name.split("/"))), "", 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            done = posixpath.dirname(done) if part == ".." else posixpath.join(done, part)
            member = self._entries.get(done)
            if member and member.issym():
                links += 1
                if links > MAX_LINKS:
                    raise DockerError(400, f"{name}: too many levels of symbolic links")
                done = "" if member.linkname.startswith("/") else posixpath.dirname(done)
                todo.extend(reversed(member.linkname.split("/")))
        return done

    def glob(self, pattern: str) -> list[str]:
        """The names that a pattern with `*`, `?` or `[…]` means, matched part by part as Go's filepath.Match."""
        parts = pattern.split("/")
        return [
            name
            for name in self.walk("")
            if name.count("/") == len(parts) - 1
            and all(fnmatch.fnmatchcase(part, wanted) for part, wanted in zip(name.split("/"), parts, strict=True))
        ]

    # -- hashes

    def hash(self, name: str) -> str:
        """`file:…` or `dir:…`, as `docker history` shows it after COPY."""
        real = self.resolve(name)
        if not self.is_dir(real):
            return f"file:{self._sum(real)}"
        targets = ((each, self.resolve(each)) for each in self.walk(real))
        return hashed("dir", sorted(self._sum(target) if self.exists(target) else each for each, target in targets))

    def _sum(self, name: str) -> str:
        """Of one entry; a folder that the tar does not list counts by its name."""
        member = self.get(name)
        if member is None:
            return name
        digest = hashlib.sha256("".join(key + value for key, value in _header(member)).encode(errors="surrogateescape"))
        if member.isfile():
            with self.open(name) as content:
                while chunk := content.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


def _header(member: tarfile.TarInfo) -> list[tuple[str, str]]:
    return [
        ("name", member.name + ("/" if member.isdir() else "")),
        ("mode", str(member.mode)),
        ("uid", str(member.uid)),
        ("gid", str(member.gid)),
        ("size", str(member.size)),
        ("typeflag", _TYPES.get(member.type, member.type).decode()),
        ("linkname", member.linkname),
        ("uname", ""),  # names of owners do not count, their numbers do
        ("gname", ""),
        ("devmajor", str(member.devmajor)),
        ("devminor", str(member.devminor)),
    ]


def hashed(kind: str, sums: list[str]) -> str:
    """One hash of several: of a folder (`dir`), or of all that one COPY takes (`multi`)."""
    return f"{kind}:{hashlib.sha256(','.join(sums).encode(errors='surrogateescape')).hexdigest()}"


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
