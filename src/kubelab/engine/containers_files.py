"""A container's files as seen from outside: its writable layer over the image's layers (kubelab.images.view), and the
volumes and binds that are mounted over both."""

from __future__ import annotations

import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kubelab.engine.errors import DockerError
from kubelab.images import changes, whiteout
from kubelab.images.view import MergedView


class MountedView(MergedView):
    """`mounts`: where in the container -> the folder or file of the host that is mounted there."""

    def __init__(self, lower_dirs: list[Path], mounts: dict[str, Path]) -> None:
        super().__init__(lower_dirs)
        self._mounts = {PurePosixPath(where): MergedView([source]) for where, source in mounts.items()}

    def mount_of(self, path: PurePosixPath) -> PurePosixPath | None:
        """The innermost place where something is mounted that has the path."""
        return next((each for each in (path, *path.parents) if each in self._mounts), None)

    def find(self, path: str) -> Path | None:
        wanted = PurePosixPath("/") / path
        where = self.mount_of(wanted)
        if where is None:
            return super().find(path)
        return self._mounts[where].find(str(wanted.relative_to(where)))

    def names(self, path: str) -> list[str]:
        wanted = PurePosixPath("/") / path
        where = self.mount_of(wanted)
        own = super().names(path) if where is None else self._mounts[where].names(str(wanted.relative_to(where)))
        return sorted({*own, *(each.name for each in self._mounts if each.parent == wanted)})


CHANGED, ADDED, DELETED = 0, 1, 2  # Kind in `docker diff`


def resolve(view: MergedView, path: str, *, follow: bool) -> PurePosixPath:
    """The path with its symbolic links followed; the last one only with `follow`. DockerError 400 for a loop."""
    wanted = PurePosixPath("/") / path
    try:
        if follow or wanted == PurePosixPath("/") or wanted.name == "..":
            return PurePosixPath(view.resolve(str(wanted)))
        return PurePosixPath(view.resolve(str(wanted.parent))) / wanted.name
    except OSError as error:
        raise DockerError(400, str(error)) from error


def walk(view: MergedView, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path]]:
    """A path and all below it, with the files on disk; folders before what is in them."""
    found = view.find(str(path))
    if found is None:
        return
    yield path, found
    if found.is_dir() and not found.is_symlink():
        for name in view.names(str(path)):
            yield from walk(view, path / name)


def pack(view: MergedView, path: PurePosixPath, name: str) -> BinaryIO:
    """A tar of a path and what is below it, the path itself called `name` ("": left out). Blocks while it reads."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 (handed to the caller)
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for place, found in walk(view, path):
            inside = str(PurePosixPath(name) / place.relative_to(path))
            if name == "." != inside:
                inside = f"./{inside}"  # clients put a name of theirs in place of the dot
            if not stat.S_ISSOCK(found.lstat().st_mode) and (name or inside != "."):
                tar.add(found, arcname=inside, recursive=False)
    target.seek(0)
    return target


def diff(writable: Path, image: MergedView) -> list[dict[str, object]]:
    """`docker diff`: what the writable layer changes in the image. Blocks while it reads the files."""
    found: dict[str, int] = {}
    with changes.diff(writable) as layer, tarfile.open(fileobj=layer) as archive:
        for member in archive:
            path = PurePosixPath("/" + member.name)
            if path.name == whiteout.OPAQUE:
                continue
            if path.name.startswith(whiteout.PREFIX):
                found[str(path.with_name(path.name.removeprefix(whiteout.PREFIX)))] = DELETED
            else:
                found[str(path)] = ADDED if image.find(str(path)) is None else CHANGED
    return [{"Path": path, "Kind": kind} for path, kind in sorted(found.items())]


def size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
