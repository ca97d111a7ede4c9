"""Which shared libraries a program loads: asked from the dynamic loader itself, which is the one that knows.

The loader's name is in the program (`PT_INTERP`; elf(5)), and both glibc's and musl's print with `--list` what they
would load and from where, which is what ldd(1) is.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PT_INTERP = 3
_LISTED = re.compile(r"^\s*(?P<name>\S+)(?: => (?P<path>\S+))? \(0x[0-9a-f]+\)$", re.MULTILINE)


def is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def loader(program: Path) -> Path | None:
    """The dynamic loader that `program` (ELF) asks for; None where it is linked statically."""
    with program.open("rb") as file:
        data = file.read(4096)
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    table, size, count = struct.unpack_from(order + ("32xQ14xHH" if wide else "28xI10xHH"), data)
    for index in range(count):
        at = table + index * size
        if struct.unpack_from(order + "I", data, at)[0] == _PT_INTERP:
            offset = struct.unpack_from(order + ("Q" if wide else "I"), data, at + (8 if wide else 4))[0]
            with program.open("rb") as file:
                file.seek(offset)
                return Path(file.read(4096).split(b"\0", 1)[0].decode())
    return None


def without_debug(file: Path) -> Path | bytes:
    """The binary's bytes without what only a debugger reads, which is most of an interpreter that pyenv compiled.

    Where the host has no strip(1), as hosts without a compiler, the file itself.
    """
    strip = shutil.which("strip")
    if strip is None:
        return file
    with tempfile.NamedTemporaryFile() as target:
        done = subprocess.run([strip, "--strip-debug", "-o", target.name, file], capture_output=True, check=False)
        return Path(target.name).read_bytes() if done.returncode == 0 else file


def libraries(loader: Path, files: Iterable[Path]) -> dict[str, Path]:
    """The libraries that `files` (ELF programs and libraries) load, theirs included: the name asked for → file."""
    with ThreadPoolExecutor(4) as pool:
        listings = pool.map(lambda file: _list(loader, file), files)
        return {name: path for listing in listings for name, path in listing.items()}


def _list(loader: Path, file: Path) -> dict[str, Path]:
    listing = subprocess.run([loader, "--list", file], capture_output=True, text=True, check=False).stdout
    found = ((match["name"], match["path"]) for match in _LISTED.finditer(listing))
    return {Path(name).name: Path(path or name) for name, path in found if (path or name).startswith("/")}
