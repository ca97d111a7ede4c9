"""The build context: the tar that the client sent, read where it lies.

It is not unpacked: what COPY takes is read from the tar by name, so nothing in it can reach the host's files.
"""

from __future__ import annotations

import copy
import posixpath
import tarfile
from collections.abc import Hashable, Iterator
from typing import IO

from kubelab.engine.builder.ignore import ignored, read_patterns
from kubelab.engine.builder.source import MAX_LINKS, Source
from kubelab.engine.errors import DockerError
from kubelab.images.limits import Count
from kubelab.images.unpack import entry_path


class BuildContext(Source):
    """Raises tarfile.TarError, UnsafeArchive."""

    def __init__(self, tar: IO[bytes]) -> None:
        self._tar = tarfile.open(fileobj=tar, mode="r:")  # noqa: SIM115 (as long as the context)
        self._entries: dict[str, tarfile.TarInfo] = {}
        self._sent: dict[str, tarfile.TarInfo] = {}  # entries as they came, where a hard link changed them
        count = Count()
        for member in self._tar:
            count.add(member.name, member.size)
            self._add(member)
        self._folders = {parent for name in self._entries for parent in _parents(name)}

    def _add(self, member: tarfile.TarInfo) -> None:
        name = str(entry_path(member.name))
        self._entries["" if name == "." else name] = member
        if member.islnk() and (file := self.get(name)):  # one file, and the link's attributes came later
            self._sent.setdefault(file.name, copy.copy(file))
            file.mode, file.uid, file.gid, file.mtime = member.mode, member.uid, member.gid, member.mtime

    def as_sent(self, name: str) -> tarfile.TarInfo | None:
        member = self._entries.get(name)
        return self._sent.get(member.name, member) if member else None

    def hide_ignored(self, dockerfile: str) -> None:
        """Forget Dockerfile and .dockerignore where .dockerignore names them; called when they have been read."""
        if self.get(".dockerignore") is None:
            return
        patterns = read_patterns(self.open(".dockerignore").read().decode(errors="replace"))
        for name in (".dockerignore", dockerfile):
            if ignored(name, patterns):
                self._entries.pop(name, None)

    def get(self, name: str) -> tarfile.TarInfo | None:
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
        names = sorted({*self._entries, *self._folders} - {""}, key=lambda name: name.split("/"))
        prefix = f"{folder}/" if folder else ""
        return (name for name in names if name == folder or name.startswith(prefix))

    def resolve(self, name: str) -> str:
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

    def inode(self, name: str) -> Hashable:
        member = self.get(name)
        return member.name if member else name

    def missing(self, name: str) -> str:
        return f"file not found in build context or excluded by .dockerignore: stat {name}: file does not exist"


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name
