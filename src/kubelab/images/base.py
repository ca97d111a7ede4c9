"""`kubelab/python`, the image that every Dockerfile of the course stands on, made from this machine's own files.

It needs no registry and no network: the interpreter that runs the course (interpreter.py), a shell and small tools
(smalltools.py), the shared libraries that both load (elf.py), and the few files of /etc that programs expect. Made
once, in seconds, and again when what it is made from has changed. `python -m kubelab.images.base` makes it by hand.
"""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubelab.home import Home
from kubelab.images import elf, interpreter, smalltools, tree
from kubelab.images.lock import locked, write_atomically
from kubelab.images.store import Image, ImageNotFound, ImageStore

NAME = "kubelab/python:latest"
CREATED_BY = "kubelab: interpreter, standard library, shell and small tools of this machine"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}  # Python's name -> Go's
EXTRA_LIBRARIES = ("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1")  # loaded by name while running
HOST_FOLDERS = ("/usr/lib/locale/C.utf8", "/usr/share/terminfo/l", "/usr/share/terminfo/x", "/lib/terminfo/x")
TERMINALS = ("xterm", "xterm-256color", "linux")
FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    # what a runtime mounts over, so that a container leaves no trace of having been started
    "/etc/hosts": "",
    "/etc/hostname": "",
    "/etc/resolv.conf": "",
}
log = logging.getLogger(__name__)


def ensure_base_image(store: ImageStore) -> Image:
    """The base image, made first where it is missing or made from other files. Safe to call from many processes."""
    key, record = _key(), store.folder / "base.json"
    with locked(store.folder / "base.lock"):
        try:
            known = json.loads(record.read_bytes())
            if known["key"] == key and store.resolve(NAME).id == known["image"]:
                return store.resolve(NAME)
        except (FileNotFoundError, ImageNotFound):
            pass
        image_id = _make(store)
        store.tag(image_id, NAME)
        write_atomically(record, json.dumps({"key": key, "image": image_id}).encode())
    return store.get_image(image_id)


def _key() -> str:
    """What the image is made from, in one digest: the host's files by time and size, and this code."""
    files = [interpreter.executable(), *interpreter.roots(), *smalltools.find().values()]
    if loader := elf.loader(files[0]) if elf.is_elf(files[0]) else None:
        files.append(loader.resolve())
    files += [Path(module.__file__) for module in (sys.modules[__name__], elf, interpreter, smalltools, tree)]
    facts: list[Any] = [sys.version]
    for file in files:
        status = file.stat()
        facts.append((str(file), status.st_mtime_ns, 0 if file.is_dir() else status.st_size))
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def plan(*, python: bool = True) -> tree.Tree:
    """Which files the image holds; without `python` just the shell, the small tools and what they load."""
    files = tree.Tree()
    for path, content in FILES.items():
        files.file(path, content.encode())
    for path in ("/root", "/home", "/proc", "/sys", "/dev", "/run", "/var", "/opt", "/srv", "/mnt", "/etc"):
        files.folder(path)
    for path in ("/tmp", "/var/tmp"):
        files.folder(path, mode=0o1777)
    binaries = smalltools.add_to(files) + (interpreter.add_to(files) if python else [])
    _add_libraries(files, binaries)
    for folder in map(Path, HOST_FOLDERS):
        for file in sorted(folder.rglob("*")) if folder.is_dir() else []:
            if file.is_file() and ("terminfo" not in file.parts or file.name in TERMINALS):
                files.file(str(file), file, mode=0o644)
    return files


def _add_libraries(files: tree.Tree, binaries: list[Path]) -> None:
    """The loader where programs ask for it, and libraries where it looks without being told.

    Libraries that came with the interpreter (pyenv, conda, uv) stay beside it, where its own run path finds them; where
    that path is an absolute one of the host, a link in the loader's own folder leads there.
    """
    program = interpreter.executable()
    loader = elf.loader(program) if elf.is_elf(program) else None
    if loader is None:
        return
    found = elf.libraries(loader, binaries)
    files.file(str(loader), loader.resolve(), mode=0o755)
    system = next((path.parent for name, path in found.items() if name.startswith("libc.so")), loader.parent)
    for name in EXTRA_LIBRARIES:
        if (system / name).exists():
            found.setdefault(name, system / name)
    for name, path in sorted(found.items()):
        if own := _own_library(path):
            files.file(f"{interpreter.PREFIX}/{own}", elf.without_debug(path.resolve()), mode=0o755)
        else:
            files.file(f"{system}/{name}", path.resolve(), mode=0o755)
    for name, path in sorted(found.items()):
        if (own := _own_library(path)) and f"{system}/{name}" not in files:
            files.link(f"{system}/{name}", f"{interpreter.PREFIX}/{own}")


def _own_library(path: Path) -> Path | None:
    """The path below the interpreter's prefix; None for a library of the system, to which /usr belongs as a whole."""
    prefix = Path(sys.base_prefix)
    if prefix in (Path("/usr"), Path("/")) or not path.is_relative_to(prefix):
        return None
    return path.relative_to(prefix)


def _make(store: ImageStore) -> str:
    with tempfile.TemporaryFile() as tar:
        plan().write(tar)
        tar.seek(0)
        layer = store.register_layer(tar)
    log.info("made %s: %.0f MB from %s", NAME, layer.size / 1e6, interpreter.executable())
    return store.put_image(config(layer.diff_id, _created()))


def _created() -> str:
    """When the interpreter was installed: the same files give the same image."""
    newest = interpreter.executable().stat().st_mtime
    return datetime.fromtimestamp(int(newest), UTC).isoformat().replace("+00:00", "Z")


def config(diff_id: str, created: str) -> dict[str, Any]:
    version = ".".join(map(str, sys.version_info[:3]))
    return {
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "config": {
            "Env": [f"PATH={PATH}", "LANG=C.UTF-8", f"PYTHON_VERSION={version}"],
            "Cmd": ["python3"],
            "WorkingDir": "",
            "Labels": {"app.kubernetes.io/part-of": "kubelab"},
        },
        "created": created,
        "history": [{"created": created, "created_by": CREATED_BY}],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(message)s")
    print(ensure_base_image(ImageStore(Home.from_environment().ensure().images)).id)
