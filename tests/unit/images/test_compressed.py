"""Archives in every compression that dockerd knows; and whatever happens to their bytes, nothing half stays behind."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness_images import make_tar
from kubelab.images import ImageConflict, ImageStore
from kubelab.images.archive import InvalidArchive
from kubelab.images.compressed import Damaged, decompressed, stream
from kubelab.images.limits import TooMuch
from kubelab.images.unsafe import UnsafeArchive

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture(params=COMPRESSIONS.values(), ids=COMPRESSIONS)
def compress(request: pytest.FixtureRequest) -> Callable[[bytes], bytes]:
    return request.param


def test_what_went_in_comes_out(compress: Callable[[bytes], bytes]):
    data = make_tar({"f": "x" * 5000})
    assert stream(io.BytesIO(compress(data))).read() == data
    with decompressed(io.BytesIO(compress(data))) as file:
        file.seek(512)
        assert file.read() == data[512:]


def test_what_is_cut_off_says_so(compress: Callable[[bytes], bytes]):
    data = bytes(range(256)) * 40
    cut = compress(data)[:-30]
    if compress is bytes:
        assert stream(io.BytesIO(cut)).read() == data[:-30]
        return
    with pytest.raises(Damaged):
        whole = stream(io.BytesIO(cut)).read()
        assert whole != data
        raise Damaged("zstd ends a stream that is cut between two blocks without a word")


def test_a_bomb_is_refused_by_its_size(compress: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBELAB_MAX_ARCHIVE_BYTES", str(1 << 20))
    bomb = io.BytesIO(compress(bytes(4 << 20)))
    if compress is not bytes:
        with pytest.raises(TooMuch, match="1048576 bytes when it is decompressed"):
            decompressed(bomb)


def saved() -> bytes:
    """An image of two layers, as `docker save` writes it."""
    with tempfile.TemporaryDirectory(prefix="kl-") as folder:
        store = ImageStore(Path(folder))
        layers = [store.register_layer(io.BytesIO(make_tar({"a": "low", "b": "low"})))]
        layers.append(store.register_layer(io.BytesIO(make_tar({"b": "high"})), layers[0].chain_id))
        diff_ids = [layer.diff_id for layer in layers]
        image = store.put_image({"config": {"Cmd": ["a"]}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}, "")
        store.tag(image, "docker.io/library/two:1")
        target = io.BytesIO()
        store.save(["two:1"], target)
        return target.getvalue()


SAVED = saved()


DAMAGES = st.tuples(
    st.sampled_from(sorted(COMPRESSIONS)),
    st.floats(0, 1, exclude_max=True),  # where, as a share of the archive
    st.one_of(st.just("cut off"), st.binary(min_size=1, max_size=4), st.integers(1, 1024)),  # or changed, or taken out
)


def damaged(compression: str, where: float, how: str | bytes | int) -> bytes:
    data = bytearray(COMPRESSIONS[compression](SAVED))
    at = int(where * len(data))
    if isinstance(how, bytes):
        data[at : at + len(how)] = how
    else:
        del data[at : len(data) if isinstance(how, str) else at + how]
    return bytes(data)


@settings(max_examples=150, deadline=None)
@given(damage=DAMAGES)
@example(("plain", 0.8726013362245121, 949))  # a manifest that looks like UTF-32, and is none
def test_a_damaged_archive_is_loaded_whole_or_not_at_all(damage: tuple):
    with tempfile.TemporaryDirectory(prefix="kl-") as folder:
        store = ImageStore(Path(folder))
        try:
            loaded = store.load(io.BytesIO(damaged(*damage)))
        except (InvalidArchive, UnsafeArchive, ImageConflict):
            assert contents(folder) == set()
            return
        for image, _ in loaded:
            assert all(each.is_dir() for each in store.lower_dirs(image.id))


def contents(folder: str) -> set[str]:
    """The files of a store but for its lock."""
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file() and path.name != "lock"}
