"""A store whose writers fail: a full disk, a limit on file sizes, kill -9 at any moment. No half image is left."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tarfile
import threading

import pytest

from harness_images import make_tar
from kubelab.images.archive import InvalidArchive
from kubelab.images.layers import chain_ids
from kubelab.images.limits import TooMuch
from kubelab.images.store import ImageStore
from kubelab.images.unpack import UnsafeArchive

MEGABYTE = 1 << 20
WRITER = """
import sys
from pathlib import Path
from kubelab.images.store import ImageStore
store = ImageStore(Path(sys.argv[1]))
print("ready", flush=True)
for archive in sys.argv[2:] * 1000:
    with open(archive, "rb") as file:
        images = store.load(file)
    for image, _ in images:
        for name in store.references(image.id):
            store.untag(name)
        store.delete(image.id)
"""


def archive(name: str, *layers: bytes) -> bytes:
    """What `docker save` writes for an image of these layers."""
    diff_ids = ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps({"config": {}, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "name": name})
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": [f"{name}:latest"], "Layers": names}]
    files = {"config.json": config, "manifest.json": json.dumps(manifest)}
    return make_tar(files | dict(zip(names, layers, strict=True)))


def layer(seed: str, size: int) -> bytes:
    generator = random.Random(seed)
    return make_tar({f"{seed}-{number}": generator.randbytes(size // 8) for number in range(8)})


def check(store: ImageStore) -> None:
    """Every image is whole, and the store holds nothing else."""
    blobs, chains = set(), set()
    for image in store.all():
        blobs |= {image.id, *image.diff_ids}
        chains |= set(image.chain_ids)
        assert image.chain_ids == list(chain_ids(image.diff_ids))
        for diff_id, folder in zip(image.diff_ids, reversed(store.lower_dirs(image.id)), strict=True):
            data = store.blob_path(diff_id).read_bytes()
            assert "sha256:" + hashlib.sha256(data).hexdigest() == diff_id
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    assert (folder / member.name).stat().st_size == member.size
    assert {f"sha256:{path.name}" for path in (store.folder / "blobs" / "sha256").iterdir()} == blobs
    assert {f"sha256:{path.name}" for path in (store.folder / "layers").iterdir()} == chains
    assert {path.name for path in (store.folder / "images").iterdir()} == {
        id.removeprefix("sha256:") for id in store._ids()
    }
    assert set(store.tags().values()) <= {image.id for image in store.all()}


def test_full_disk_leaves_the_store_as_it_was(tmp_path):
    if os.geteuid():
        pytest.skip("a small disk is mounted by root only")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)], check=True)
    try:
        store = ImageStore(tmp_path / "store")
        store.load(io.BytesIO(archive("small", layer("s", MEGABYTE // 4))))
        for seed in ("a", "b"):  # the second has as much room as the first: nothing is left lying about
            with pytest.raises(OSError, match="No space left on device"):
                store.load(io.BytesIO(archive("large", layer(seed, MEGABYTE // 2), layer(f"{seed}2", 2 * MEGABYTE))))
            check(store)
        assert store.references(store.all()[0].id) == ["small:latest"]
        store.load(io.BytesIO(archive("fits", layer("f", MEGABYTE))))
        check(store)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_file_that_cannot_grow(tmp_path):
    store = ImageStore(tmp_path)
    store.load(io.BytesIO(archive("small", layer("s", 1000))))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    large = io.BytesIO(archive("large", layer("a", 1000), layer("b", MEGABYTE)))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE // 16, before[1]))
        with pytest.raises(OSError, match="File too large"):
            store.load(large)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    check(store)
    assert [store.references(image.id) for image in store.all()] == [["small:latest"]]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (make_tar({"../f": "x"}), UnsafeArchive),
        (b"no tar at all" * 100, InvalidArchive),
    ],
)
def test_layer_that_is_refused_takes_the_others_along(tmp_path, bad, error):
    store = ImageStore(tmp_path)
    with pytest.raises(error):
        store.load(io.BytesIO(archive("bad", layer("good", 1000), bad)))
    check(store)
    assert store.all() == []


@pytest.mark.timeout(120)
def test_writers_that_are_killed_leave_nothing_half_done(tmp_path):
    archives = []
    for name, seeds in {"one": ("x", "y"), "two": ("x", "z"), "three": ("w",)}.items():
        path = tmp_path / name
        path.write_bytes(archive(name, *(layer(seed, MEGABYTE // 2) for seed in seeds)))
        archives.append(str(path))
    folder, moments = tmp_path / "store", random.Random(4)
    for _ in range(15):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), *archives], stdout=subprocess.PIPE)
        assert writer.stdout.readline() == b"ready\n"
        threading.Event().wait(moments.random() * 0.2)  # the moment is what is tried
        writer.kill()
        writer.communicate()
        store = ImageStore(folder)
        store.sweep()
        check(store)


def test_images_come_and_go_at_once(tmp_path):
    """Loading and deleting what shares layers, from several threads at once."""
    store = ImageStore(tmp_path)
    archives = [archive(f"i{n}", layer("shared", 4000), layer(f"own{n}", 4000)) for n in range(4)]
    store.load(io.BytesIO(archive("keeps", layer("shared", 4000))))
    failures: list[BaseException] = []

    def work(data: bytes) -> None:
        try:
            for _ in range(6):
                ((image, _),) = store.load(io.BytesIO(data))
                store.delete(image.id)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(data,)) for data in archives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    check(store)
    assert len(store.all()) == 1


def test_bombs_are_refused_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBELAB_MAX_ARCHIVE_BYTES", "10000")
    monkeypatch.setenv("KUBELAB_MAX_ARCHIVE_ENTRIES", "5")
    store = ImageStore(tmp_path)
    with pytest.raises(TooMuch, match="'big' is too large: the files of an archive have at most 10000 bytes"):
        store.load(io.BytesIO(archive("bomb", make_tar({"small": "x", "big": "x" * 10000}))))
    with pytest.raises(TooMuch, match="'f5' is one entry too many: an archive has at most 5"):
        store.load(io.BytesIO(archive("bomb", make_tar({f"f{n}": "" for n in range(9)}))))
    check(store)
