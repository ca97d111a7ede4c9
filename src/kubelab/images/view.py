"""What an image's files look like from inside: its layers laid over each other, read without mounting anything.

The rules are overlayfs' own (Linux: Documentation/filesystems/overlayfs.rst): the topmost layer that has a name wins,
whiteouts hide it, folders merge unless they are opaque. The builder asks here where COPY and WORKDIR lead.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from kubelab.images import whiteout

MAX_LINKS = 40  # as many as the kernel follows before it says ELOOP


class MergedView:
    """`lower_dirs`: the unpacked layers, topmost first (ImageStore.lower_dirs). Paths are absolute, as in the image."""

    def __init__(self, lower_dirs: list[Path]) -> None:
        self._layers = lower_dirs

    def find(self, path: str) -> Path | None:
        """The file on disk that `path` names, following no link in it; None: no such file."""
        parts = [part for part in path.split("/") if part]
        for layer in self._layers:
            found, hidden = _look(layer, parts)
            if found or hidden:
                return found
        return None

    def lstat(self, path: str) -> os.stat_result | None:
        found = self.find(path)
        return found.lstat() if found else None

    def is_dir(self, path: str) -> bool:
        """Whether `path` (resolved) is a folder; the root always is."""
        status = self.lstat(path)
        return path == "/" or (status is not None and stat.S_ISDIR(status.st_mode))

    def names(self, path: str) -> list[str]:
        """What is in the folder `path` (resolved), sorted."""
        candidates: set[str] = set()
        for layer in self._layers:
            folder = layer / path.lstrip("/")
            if folder.is_dir() and not folder.is_symlink():
                candidates.update(os.listdir(folder))  # noqa: PTH208 (names are wanted)
        shown = (name for name in candidates if not name.startswith(whiteout.PREFIX))
        return sorted(name for name in shown if self.find(f"{path.rstrip('/')}/{name}"))

    def resolve(self, path: str) -> str:
        """`path` with every link followed inside the image, whether or not its end exists. Raises OSError (ELOOP)."""
        todo, done, links = list(reversed(PurePosixPath(path).parts)), PurePosixPath("/"), 0
        while todo:
            part = todo.pop()
            if part == "/":
                done = PurePosixPath("/")
            elif part == "..":
                done = done.parent
            else:
                done = done / part
                found = self.find(str(done))
                if found and found.is_symlink():
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(f"{path}: too many levels of symbolic links")
                    done = done.parent
                    todo.extend(reversed(PurePosixPath(os.readlink(found)).parts))  # noqa: PTH115 (a path of the image)
        return str(done)


def _look(layer: Path, parts: list[str]) -> tuple[Path | None, bool]:
    """What one layer says of a path: the file, or None and whether it hides what is below."""
    here, opaque = layer, False
    for index, part in enumerate(parts):
        opaque = opaque or whiteout.is_opaque(here)
        if whiteout.hides(here, part):
            return None, True
        here = here / part
        try:
            mode = here.lstat().st_mode
        except FileNotFoundError:
            return None, opaque
        if not stat.S_ISDIR(mode) and index < len(parts) - 1:
            return None, True
    return here, True
