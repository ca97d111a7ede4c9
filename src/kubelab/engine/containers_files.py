"""A container's files as seen from outside: its writable layer over the image's layers, as overlayfs joins them.

Rules: Linux' Documentation/filesystems/overlayfs.rst. Nothing is mounted: each path is looked up layer by layer.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kubelab.engine.errors import DockerError
from kubelab.images import changes, whiteout

CHANGED, ADDED, DELETED = 0, 1, 2  # Kind in `docker diff`
MAX_LINKS = 40  # symbolic links in one path, as the kernel counts


@dataclass(frozen=True)
class MergedView:
    """`layers` topmost first."""

    layers: list[Path]

    def find(self, path: PurePosixPath) -> Path | None:
        """The file behind a path without symbolic links on the way, None where there is none."""
        for layer in self.layers:
            found, hidden = _in_layer(layer, path.parts[1:])
            if found is not None or hidden:
                return found
        return None

    def resolve(self, path: str, *, follow: bool) -> PurePosixPath:
        """The path with its symbolic links followed; the last one only with `follow`. DockerError 400 for a loop."""
        waiting = [part for part in reversed(PurePosixPath("/" + path).parts[1:]) if part != "."]
        done, links = PurePosixPath("/"), 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                done = done.parent
                continue
            found = self.find(done / part)
            if found is None or not found.is_symlink() or (not waiting and not follow):
                done /= part
                continue
            links += 1
            if links > MAX_LINKS:
                raise DockerError(400, f"{path}: too many levels of symbolic links")
            target = PurePosixPath(found.readlink())
            if target.is_absolute():
                done = PurePosixPath("/")
            waiting += [each for each in reversed(target.parts) if each not in ("/", ".")]
        return done

    def names(self, folder: PurePosixPath) -> list[str]:
        """What a folder holds."""
        found: set[str] = set()
        for layer in self.layers:
            place, _ = _in_layer(layer, folder.parts[1:])
            if place is not None and place.is_dir() and not place.is_symlink():
                found.update(entry.name for entry in os.scandir(place))
        return sorted(name for name in found if self.find(folder / name) is not None)

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, Path]]:
        """A path and all below it, folders before what is in them."""
        found = self.find(path)
        if found is None:
            return
        yield path, found
        if found.is_dir() and not found.is_symlink():
            for name in self.names(path):
                yield from self.walk(path / name)


def _in_layer(layer: Path, parts: tuple[str, ...]) -> tuple[Path | None, bool]:
    """Where one layer has a path, and whether it hides the layers below there."""
    place, hidden = layer, False
    for part in parts:
        if part.startswith(whiteout.PREFIX) or whiteout.hides(place, part):
            return None, True
        place = place / part
        try:
            mode = place.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None, hidden
        if not stat.S_ISDIR(mode):
            hidden = True  # a file hides a folder of the same name below
        elif whiteout.is_opaque(place):
            hidden = True
    return place, hidden


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
                found[str(path)] = ADDED if image.find(path) is None else CHANGED
    return [{"Path": path, "Kind": kind} for path, kind in sorted(found.items())]


def size(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum((Path(parent) / name).lstat().st_size for parent, _, names in os.walk(folder) for name in names)
