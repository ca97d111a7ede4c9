"""What COPY and ADD take files from: the build context, or the files of another image (`--from`).

Names are relative, with slashes; `""` is the source itself. The hash of a file, which the cache compares and
`docker history` shows, is moby's tarsum version 1 (pkg/tarsum): the tar header without its time, and the content.
"""

from __future__ import annotations

import fnmatch
import hashlib
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from typing import IO

from kubelab.images.tarstream import XATTR

_TYPES = {tarfile.AREGTYPE: tarfile.REGTYPE}
MAX_LINKS = 40


class Source(ABC):
    """`keeps_owners`: files come with their owners unless COPY says another."""

    keeps_owners = False

    @abstractmethod
    def get(self, name: str) -> tarfile.TarInfo | None:
        """The entry of that name, hard links followed. None: there is none, or it is a folder without an entry."""

    def as_sent(self, name: str) -> tarfile.TarInfo | None:
        """The entry whose header is hashed: a hard link counts as one where the source is a tar."""
        return self.get(name)

    @abstractmethod
    def exists(self, name: str) -> bool: ...

    @abstractmethod
    def is_dir(self, name: str) -> bool: ...

    @abstractmethod
    def open(self, name: str) -> IO[bytes]: ...

    @abstractmethod
    def walk(self, folder: str) -> Iterator[str]:
        """Every name below `folder`, itself first, sorted part by part."""

    @abstractmethod
    def resolve(self, name: str) -> str:
        """`name` with every symbolic link followed, as if the source were the root."""

    @abstractmethod
    def inode(self, name: str) -> Hashable:
        """The same for all names of one file (hard links)."""

    @abstractmethod
    def missing(self, name: str) -> str:
        """What dockerd says where there is no `name`."""

    def as_is(self, name: str) -> bool:
        """Whether ADD must not unpack it."""
        return False

    def glob(self, pattern: str) -> list[str]:
        """The names that a pattern with `*`, `?` or `[…]` means, matched part by part as Go's filepath.Match."""
        parts = pattern.split("/")
        return [
            name
            for name in self.walk("")
            if name.count("/") == len(parts) - 1
            and all(fnmatch.fnmatchcase(part, wanted) for part, wanted in zip(name.split("/"), parts, strict=True))
        ]

    def hash(self, name: str) -> str:
        """`file:…` or `dir:…`, as `docker history` shows it after COPY."""
        real = self.resolve(name)
        if not self.is_dir(real):
            return f"file:{self._sum(real)}"
        targets = ((each, self.resolve(each)) for each in self.walk(real) if each)
        sums = (self._sum(to) if self.exists(to) else self._dangling(each, to) for each, to in targets)
        return hashed("dir", sorted(sums))

    def _dangling(self, name: str, target: str) -> str:
        """What a link to nowhere counts as, in the place of a hash."""
        return name

    def _sum(self, name: str) -> str:
        """Of one entry; a folder that is not listed counts by its name."""
        member = self.as_sent(name)
        if member is None:
            return name
        digest = hashlib.sha256(header(member, owners=self.keeps_owners))
        if member.isfile():
            with self.open(name) as content:
                while chunk := content.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


def header(member: tarfile.TarInfo, *, owners: bool) -> bytes:
    """What of an entry is hashed. Names of `owners` count in images only: there dockerd 20.10 asks its own machine."""
    fields = [
        ("name", member.name + ("/" if member.isdir() else "")),
        ("mode", str(member.mode)),
        ("uid", str(member.uid)),
        ("gid", str(member.gid)),
        ("size", str(member.size)),
        ("typeflag", _TYPES.get(member.type, member.type).decode()),
        ("linkname", member.linkname),
        ("uname", member.uname if owners else ""),
        ("gname", member.gname if owners else ""),
        ("devmajor", str(member.devmajor)),
        ("devminor", str(member.devminor)),
    ]
    fields += sorted(
        (key.removeprefix(XATTR), value) for key, value in member.pax_headers.items() if key.startswith(XATTR)
    )
    return "".join(name + value for name, value in fields).encode(errors="surrogateescape")


def hashed(kind: str, sums: list[str]) -> str:
    """One hash of several: of a folder (`dir`), or of all that one COPY takes (`multi`)."""
    return f"{kind}:{hashlib.sha256(','.join(sums).encode(errors='surrogateescape')).hexdigest()}"
