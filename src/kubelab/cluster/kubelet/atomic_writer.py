"""Files that change all at once, as the volumes of ConfigMaps and Secrets do.

Upstream: pkg/volume/util/atomic_writer.go. The files lie in a folder of their own, `..data` points at it, and each name
points through `..data`: a new folder and one rename change every file in the same instant.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

DATA = "..data"


@dataclass(frozen=True)
class Payload:
    data: bytes
    mode: int


def write_atomically(target: Path, files: dict[str, Payload]) -> bool:
    """Make `target` hold just `files` (relative path to content). False where it did already."""
    target.mkdir(parents=True, exist_ok=True)
    if _holds(target / DATA, files):
        return False
    folder = Path(tempfile.mkdtemp(prefix="..", dir=target))
    folder.chmod(0o755)
    for name, payload in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload.data)
        path.chmod(payload.mode)
    old = (target / DATA).readlink() if (target / DATA).is_symlink() else None
    _point(target / DATA, folder.name)
    _name(target, {name.partition("/")[0] for name in files})
    if old is not None:
        shutil.rmtree(target / old, ignore_errors=True)
    return True


def _holds(folder: Path, files: dict[str, Payload]) -> bool:
    if not folder.is_dir():
        return False
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    return found.keys() == files.keys() and all(found[n].read_bytes() == p.data for n, p in files.items())


def _point(link: Path, to: str) -> None:
    """Set a symbolic link, in place of the one that is there."""
    temporary = link.with_name(f"{link.name}_tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(to)
    temporary.replace(link)


def _name(target: Path, names: set[str]) -> None:
    """One link a name, through `..data`; links to names that are gone go too."""
    for name in names:
        if not (target / name).is_symlink():
            _point(target / name, os.path.join(DATA, name))  # noqa: PTH118 - relative on purpose
    for path in target.iterdir():
        if path.is_symlink() and path.name != DATA and path.name not in names:
            path.unlink()
