"""The level *process*: an image's layers merged into a folder, and what a container changed in it.

Merging follows overlayfs' rules: a whiteout hides what lies below, an opaque folder all of it. Files of the system's
folders are hard links into the layers, because nothing writes to them in place: at this level a program's absolute
paths lead to the host's files, and package installers replace files instead of rewriting them. Others are copies.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubelab.images import whiteout

_LINKED = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_SNAPSHOT = "snapshot.json"  # path -> [mode, size, mtime in nanoseconds, target of a symbolic link]


def merge(layers: Sequence[Path], folder: Path) -> Path:
    """Make `folder`/merged of the layers (topmost first) and remember what it was. Returns it.

    One that is there already is kept: the container is started again.
    """
    merged = folder / "merged"
    if (folder / _SNAPSHOT).exists():
        return merged
    merged.mkdir(parents=True, exist_ok=True)
    for layer in reversed(layers):
        _apply(layer, merged, linked=False)
    (folder / _SNAPSHOT).write_text(json.dumps(dict(_describe(merged))))
    return merged


def _apply(source: Path, target: Path, *, linked: bool) -> None:
    """Lay one folder of a layer over what the layers below it made."""
    if whiteout.is_opaque(source):
        for below in list(target.iterdir()):
            _remove(below)
    for entry in os.scandir(source):
        status, destination = entry.stat(follow_symlinks=False), target / entry.name
        if whiteout.is_device(status):
            _remove(destination)
        elif entry.name.startswith(whiteout.PREFIX):
            _remove(target / entry.name.removeprefix(whiteout.PREFIX))
        elif stat.S_ISDIR(status.st_mode):
            if not stat.S_ISDIR(_mode(destination)):
                _remove(destination)
                destination.mkdir()
            _apply(Path(entry.path), destination, linked=linked or entry.name in _LINKED)
            shutil.copystat(entry.path, destination)
        else:
            _remove(destination)
            _place(Path(entry.path), destination, linked=linked)


def _place(source: Path, destination: Path, *, linked: bool) -> None:
    if linked:
        with contextlib.suppress(OSError):  # another file system, or one without links
            os.link(source, destination, follow_symlinks=False)
            return
    shutil.copy2(source, destination, follow_symlinks=False)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    if stat.S_ISDIR(_mode(path)):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _describe(root: Path, prefix: str = "") -> Iterator[tuple[str, list[object]]]:
    for entry in os.scandir(root / prefix):
        name, status = prefix + entry.name, entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield name, [status.st_mode, 0, 0, ""]
            yield from _describe(root, name + "/")
        else:
            link = str(Path(entry.path).readlink()) if entry.is_symlink() else ""
            yield name, [status.st_mode, status.st_size, status.st_mtime_ns, link]


def changes(folder: Path) -> Path:
    """Write into `folder`/upper what differs from the image, in the form of overlayfs' upper folder; returns that."""
    merged, upper = folder / "merged", folder / "upper"
    _remove(upper)
    upper.mkdir()
    before, now = json.loads((folder / _SNAPSHOT).read_text()), dict(_describe(merged))
    for name in sorted(now):
        if now[name] != before.get(name):
            _copy_up(merged, upper, name)
    for name in sorted(before.keys() - now.keys()):
        parent = name.rpartition("/")[0]
        if not parent or parent in now:
            _copy_up(merged, upper, parent)
            whiteout.hide(upper / name)
    return upper


def _copy_up(merged: Path, upper: Path, name: str) -> None:
    """A file or folder, with the folders above it, as overlayfs copies up."""
    if not name:
        return
    _copy_up(merged, upper, name.rpartition("/")[0])
    source, target = merged / name, upper / name
    if stat.S_ISDIR(source.lstat().st_mode):
        target.mkdir(exist_ok=True)
        shutil.copystat(source, target)
    elif not os.path.lexists(target):
        shutil.copy2(source, target, follow_symlinks=False)
