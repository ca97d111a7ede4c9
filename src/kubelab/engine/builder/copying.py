"""COPY and ADD: what they take, what they are called in the history, and the layer they make.

Rules from moby's builder/dockerfile/copy.go and internals.go (performCopy): one source may become a file or a folder;
several need a folder as their destination; a folder's content is copied, not the folder; ADD unpacks a local tar.
"""

from __future__ import annotations

import copy
import posixpath
import stat
import tarfile
from collections.abc import Hashable
from dataclasses import dataclass
from functools import partial
from typing import IO, BinaryIO

from kubelab.engine.builder.addition import Addition, Opener
from kubelab.engine.builder.dockerfile import Instruction
from kubelab.engine.builder.source import Source, hashed
from kubelab.images.compressed import decompressed
from kubelab.images.limits import Count
from kubelab.images.unpack import UnsafeArchive, entry_path
from kubelab.images.view import MergedView


class CopyError(ValueError):
    """COPY or ADD cannot be done; the message is dockerd's."""


@dataclass(frozen=True)
class Copy:
    """One COPY or ADD with its variables expanded."""

    command: str  # "COPY" | "ADD"
    sources: tuple[str, ...]  # names in their source
    destination: str  # as written
    chown: str
    digest: str  # `file:…`, `dir:…` or `multi:…`

    @property
    def comment(self) -> str:
        """What the history says; the missing blank and the trailing one are Docker's."""
        chown = f"--chown={self.chown}" if self.chown else ""
        return f"{self.command} {chown}{self.digest} in {self.destination} "


def plan(instruction: Instruction, args: list[str], chown: str, context: Source) -> Copy:
    """Find the sources and hash them. Raises CopyError."""
    command, (*patterns, destination) = instruction.name.upper(), args
    try:
        sources = [source for pattern in patterns for source in _sources(pattern, context)]
        if not sources:
            raise CopyError("no source files were specified")
    except CopyError as error:
        raise CopyError(f"{command} failed: {error}") from None
    if len(sources) > 1 and not destination.endswith("/"):
        raise CopyError(
            f"When using {command} with more than one source file, the destination must be a directory and end with a /"
        )
    hashes = [context.hash(source) for source in sources]
    digest = hashes[0] if len(hashes) == 1 else hashed("multi", hashes)
    return Copy(command, tuple(sources), destination, chown, digest)


def _sources(pattern: str, context: Source) -> list[str]:
    pattern = pattern.removeprefix("/").removeprefix("./")
    name = posixpath.normpath(pattern.lstrip("/") or ".")
    if name == ".." or name.startswith("../"):
        raise CopyError(f"forbidden path outside the build context: {pattern} ()")
    if any(char in name for char in "*?["):
        return context.glob(name)
    name = "" if name == "." else name
    if not context.exists(context.resolve(name)):
        raise CopyError(context.missing(pattern))
    return [name]


def layer(planned: Copy, context: Source, view: MergedView, working_dir: str) -> BinaryIO:
    """The layer's tar. Raises CopyError, UnsafeArchive."""
    addition = Addition(view, _owner(planned.chown, view))
    wanted = posixpath.join("/", working_dir, planned.destination)
    destination = view.resolve(wanted)
    try:
        for source in planned.sources:
            _add(addition, planned, source, context, view, destination, into=wanted.endswith("/"))
    except NotADirectoryError as error:
        raise CopyError(f"failed to copy files: {error}") from None
    return addition.write()


def _add(
    addition: Addition,
    planned: Copy,
    source: str,
    context: Source,
    view: MergedView,
    destination: str,
    *,
    into: bool,
) -> None:
    real, keeps_owner = context.resolve(source), context.keeps_owners and not planned.chown
    if context.is_dir(real):
        _add_folder(addition, real, context, destination, keeps_owner)
    elif planned.command == "ADD" and not context.as_is(real) and (archive := _archive(context.open(real))):
        _unpack(addition, archive, destination)
    else:
        if into or view.is_dir(destination):
            destination = posixpath.join(destination, posixpath.basename(source))
        member = context.get(real)
        if member is None:
            raise CopyError(f"failed to copy files: {source} is neither a file nor a folder")
        _put(addition, destination, member, partial(context.open, real), keeps_owner=keeps_owner)


def _add_folder(addition: Addition, folder: str, context: Source, destination: str, keeps_owner: bool) -> None:
    """What is in the folder; files with several names keep them as hard links."""
    addition.folder(destination)
    links: dict[Hashable, str] = {}
    for name in context.walk(folder):
        member = context.get(name)
        if name == folder or member is None:
            continue
        target = posixpath.join(destination, posixpath.relpath(name, folder or "."))
        first = links.setdefault(context.inode(name), target)
        if member.isfile() and first != target:
            member = copy.copy(member)
            member.type, member.size, member.linkname = tarfile.LNKTYPE, 0, first.lstrip("/")
        _put(addition, target, member, partial(context.open, name), keeps_owner=keeps_owner)


def _put(addition: Addition, path: str, member: tarfile.TarInfo, opener: Opener, *, keeps_owner: bool) -> None:
    if member.ischr() or member.isblk():
        raise UnsafeArchive(f"{member.name!r} is a device node, which is not copied: leave it out of the build context")
    if not keeps_owner and member.isfile():
        member = _chowned(member)
    addition.put(path, member, opener if member.isfile() else None, keep_owner=keeps_owner)


def _chowned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """What is left of a file after chown(2), which dockerd calls for each it copies: neither setuid nor setgid."""
    member = copy.copy(member)
    lost = stat.S_ISUID | (stat.S_ISGID if member.mode & stat.S_IXGRP else 0)
    member.mode, member.pax_headers = member.mode & ~lost, {}
    return member


# -- ADD's archives


def _archive(content: IO[bytes]) -> tarfile.TarFile | None:
    """The tar that a file is or None."""
    try:
        archive = tarfile.open(fileobj=decompressed(content), mode="r:")  # noqa: SIM115 (read when the layer is written)
    except (tarfile.TarError, OSError):
        return None
    return archive if archive.next() else None


def _unpack(addition: Addition, archive: tarfile.TarFile, destination: str) -> None:
    """What is in an archive belongs to whom it says; `--chown` does not count, not even for folders on the way."""
    addition.folder(destination, owner=(0, 0))
    count = Count()
    for member in archive:
        count.add(member.name, member.size)
        target = posixpath.join(destination, str(entry_path(member.name)))
        addition.folder(posixpath.dirname(target), owner=(0, 0))
        if member.islnk():
            member.linkname = posixpath.join(destination, str(entry_path(member.linkname))).lstrip("/")
            addition.put(target, member, None, keep_owner=True)
            addition.like_link(member)
        elif member.ischr() or member.isblk():
            raise UnsafeArchive(f"{member.name!r} is a device node, which is not unpacked: leave it out of the archive")
        elif posixpath.normpath(target) != destination:
            opener = partial(archive.extractfile, member) if member.isfile() else None
            addition.put(target, member, opener, keep_owner=True)


# -- owners


def _owner(chown: str, view: MergedView) -> tuple[int, int]:
    """`--chown=user[:group]`, by number or by the image's own /etc/passwd and /etc/group; root without it."""
    if not chown:
        return 0, 0
    user, colon, group = chown.partition(":")
    if ":" in group:
        raise CopyError(f"unable to convert uid/gid chown string to host mapping: invalid chown string format: {chown}")
    uid, gid = _lookup(view, "passwd", user), 0
    if colon:
        gid = _lookup(view, "group", group)
    elif user.isdigit():
        gid = int(user)
    else:
        gid = _lookup(view, "group", user)
    return uid, gid


def _lookup(view: MergedView, database: str, name: str) -> int:
    if name.isdigit():
        return int(name)
    found = view.find(view.resolve(f"/etc/{database}"))
    for line in found.read_text(errors="replace").splitlines() if found else []:
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2:
            return int(fields[2])
    kind = "user" if database == "passwd" else "group"
    raise CopyError(
        "unable to convert uid/gid chown string to host mapping: can't find "
        f"{'uid' if kind == 'user' else 'gid'} for {kind} {name}: no such {kind}: {name}"
    )
