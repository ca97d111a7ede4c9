"""The Python of the base image: the interpreter that runs the course, moved to /usr/local.

CPython finds its standard library by looking upwards from its own file for `lib/pythonX.Y/os.py` (Modules/getpath.py),
so an interpreter of pyenv, Debian, conda or uv runs from /usr/local as well. Left out is what no container of the
course imports: tests, IDLE, Tk, the installer, headers, static libraries, and installed packages.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from kubelab.images.elf import without_debug
from kubelab.images.tree import Tree

PREFIX = "/usr/local"
LEFT_OUT = {
    "__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py",
    "ensurepip", "lib2to3", "pydoc_data", "distutils", "venv",
}  # fmt: skip
LEFT_OUT_PREFIXES = ("config-", "_test", "_ctypes_test", "_tkinter", "xxlimited", "_xx")
_HEADER = 16  # bytes of a .pyc before its code: magic, flags, and a time and size or a hash (PEP 552)


def executable() -> Path:
    """The interpreter itself, behind virtual environments and links."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()


def roots() -> list[Path]:
    """The folders of the standard library; two of them where a distribution keeps compiled modules apart (lib64)."""
    return sorted({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")})


def add_to(tree: Tree) -> list[Path]:
    """Plan interpreter and standard library; returns the ELF files among them, whose libraries are needed too."""
    program, name = executable(), f"python{sys.version_info.major}.{sys.version_info.minor}"
    tree.file(f"{PREFIX}/bin/{name}", without_debug(program), mode=0o755)
    for link in ("python", "python3"):
        tree.link(f"{PREFIX}/bin/{link}", name)
    binaries = [program]
    for root in roots():
        for file in _files(root):
            path = f"{PREFIX}/{_below_prefix(root)}/{file.relative_to(root)}"
            if file.suffix == ".so":
                binaries.append(file)
                tree.file(path, without_debug(file), mode=0o644)
                continue
            tree.file(path, file, mode=0o644)
            if file.suffix == ".py":
                tree.file(importlib.util.cache_from_source(path, optimization=""), compiled(file, path))
    return binaries


def _below_prefix(root: Path) -> str:
    """`lib/python3.11` or `lib64/python3.11`."""
    return "/".join(root.parts[-2:])


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name in LEFT_OUT or entry.name.startswith(LEFT_OUT_PREFIXES):
            continue
        if entry.is_dir():
            yield from _files(Path(entry.path))
        elif entry.is_file() and entry.name.endswith((".py", ".so", ".txt")):
            yield Path(entry.path)


def compiled(source: Path, path: str) -> bytes:
    """The code of a module, compiled by the host already or else here, as a .pyc that does not depend on times.

    A .pyc of the usual kind names the time of its source, which a layer does not keep. An *unchecked hash-based* one
    (PEP 552) names the source's hash and is loaded without a look at the source, so that containers start fast and
    write no cache. `path` is the module's in the image.
    """
    text = source.read_bytes()
    key = importlib.util.source_hash(text)
    code = _compiled_by_host(source) or marshal.dumps(compile(text, path, "exec", dont_inherit=True, optimize=0))
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + key + code


def _compiled_by_host(source: Path) -> bytes | None:
    """The marshalled code of the host's cache, if it is of this source."""
    try:
        cached = Path(importlib.util.cache_from_source(str(source), optimization="")).read_bytes()
    except OSError:
        return None
    status = source.stat()
    stamp = int(status.st_mtime).to_bytes(8, "little")[:4] + status.st_size.to_bytes(8, "little")[:4]
    fresh = cached[:8] == importlib.util.MAGIC_NUMBER + bytes(4) and cached[8:_HEADER] == stamp
    return cached[_HEADER:] if fresh else None
