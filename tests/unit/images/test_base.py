"""The base image: the course's own interpreter, moved, with all that it loads."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kubelab.images import ImageStore, base, elf, interpreter, smalltools
from kubelab.images.tree import Tree


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ImageStore(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def image(store):
    return base.ensure_base_image(store)


@pytest.fixture(scope="module")
def root(store, image):
    return store.lower_dirs(image.id)[0]


def inside(root: Path, *argv: str) -> str:
    """What a program prints that has `root` as its root (in a user namespace where we are not root)."""
    command = ["unshare", "--user", "--map-root-user", "chroot", str(root), *argv]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env={"PATH": base.PATH + ":" + os.environ["PATH"]}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_made_once(store, image):
    assert store.references(image.id) == ["kubelab/python:latest"]
    assert base.ensure_base_image(store).id == image.id
    assert image.size < 100e6


def test_made_again_when_it_was_removed(store, image):
    store.untag("kubelab/python")
    assert base.ensure_base_image(store).id == image.id


def test_same_files_give_the_same_layer():
    first, second = io.BytesIO(), io.BytesIO()
    base.plan().write(first)
    base.plan().write(second)
    assert first.getvalue() == second.getvalue()


def test_interpreter_runs_with_every_compiled_module(root):
    script = (
        "import sys, os, importlib\n"
        "names = sorted(n.split('.')[0] for n in os.listdir([p for p in sys.path if p.endswith('lib-dynload')][0]))\n"
        "for name in names:\n"
        "    if name.startswith('_') or name.islower(): importlib.import_module(name)\n"
        "import http.server, json, ssl, sqlite3, asyncio, logging\n"
        "print(sys.prefix, json.__cached__)\n"
    )
    prefix, cached = inside(root, "/usr/local/bin/python3", "-c", script).split()
    assert prefix == "/usr/local"
    assert (root / cached.lstrip("/")).exists()


def test_python_is_on_the_path_under_its_usual_names(root):
    assert {str((root / "usr/local/bin" / name).readlink()) for name in ("python", "python3")} == {
        interpreter.executable().name
    }


def test_compiled_code_does_not_depend_on_times(root):
    cached = next((root / "usr/local/lib").glob("python3*/json/__pycache__/decoder*.pyc")).read_bytes()
    assert cached[4:8] == (1).to_bytes(4, "little")  # unchecked, hash-based (PEP 552)


def test_tests_and_packages_are_left_out(root):
    library = next((root / "usr/local/lib").glob("python3*"))
    assert not {"test", "site-packages", "idlelib", "tkinter", "ensurepip"} & {path.name for path in library.iterdir()}


def test_shell_and_tools_run(root):
    script = "for tool in ls cat sleep env id; do command -v $tool || exit 1; done; id -un; ls /etc"
    assert "root" in inside(root, "/bin/sh", "-c", script).splitlines()


def test_every_library_is_there(root):
    loader = elf.loader(interpreter.executable())
    if loader is None:
        return  # linked statically
    for program in (root / "usr/bin").iterdir():
        if not program.is_symlink() and elf.is_elf(program) and elf.loader(program):  # a busybox may be static
            listing = inside(root, str(loader), "--list", f"/usr/bin/{program.name}")
            assert "not found" not in listing


def test_config(image):
    assert image.run_config["Cmd"] == ["python3"]
    assert image.run_config["Labels"] == {"app.kubernetes.io/part-of": "kubelab"}
    assert [entry["created_by"] for entry in image.config["history"]] == [base.CREATED_BY]
    assert json.dumps(image.config)


def test_tree_puts_merged_folders_below_usr():
    tree = Tree()
    tree.file("/lib64/ld.so", b"loader", mode=0o755)
    tree.link("/bin/sh", "dash")
    target = io.BytesIO()
    tree.write(target)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        names = tar.getnames()
        assert names == sorted(names)
        assert {"lib64", "usr/lib64/ld.so", "usr/bin/sh"} <= set(names)
        assert {member.mtime for member in tar} == {0}


def test_tools_that_share_one_binary_are_links(tmp_path, monkeypatch):
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"\x7fELF")
    busybox.chmod(0o755)
    (tmp_path / "ls").symlink_to(busybox)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(smalltools, "_PATH", "")
    found = smalltools.find()
    assert found["ls"] == found["cat"] == busybox
