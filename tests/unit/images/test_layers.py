"""Blobs and layers: names from content, chain IDs, layers kept once."""

import hashlib
import io

import pytest

from harness_images import make_tar
from kubelab.images import ImageStore
from kubelab.images.blobs import Blobs
from kubelab.images.layers import EMPTY_DIFF_ID, Layers, chain_ids
from kubelab.images.unpack import UnsafeArchive


@pytest.fixture
def layers(tmp_path):
    return Layers(tmp_path / "layers", Blobs(tmp_path / "blobs"))


def test_empty_layer_has_the_digest_that_every_engine_knows():
    assert EMPTY_DIFF_ID == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


def test_chain_ids():
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    second = "sha256:" + hashlib.sha256(f"{one} {two}".encode()).hexdigest()
    third = "sha256:" + hashlib.sha256(f"{second} {one}".encode()).hexdigest()
    assert list(chain_ids([one, two, one])) == [one, second, third]
    assert list(chain_ids([])) == []


def test_layer_is_unpacked_beside_its_tar(layers, tmp_path):
    data = make_tar({"a/": b"", "a/b": "hello"})
    layer = layers.register(io.BytesIO(data), None)
    assert layer.diff_id == layer.chain_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert layer.size == 5
    assert (layers.diff(layer.chain_id) / "a" / "b").read_text() == "hello"
    assert layers.get(layer.chain_id) == layer


def test_same_content_on_another_layer_is_another_layer_with_one_tar(layers, tmp_path):
    data = make_tar({"f": "x"})
    low = layers.register(io.BytesIO(data), None)
    high = layers.register(io.BytesIO(data), low.chain_id)
    assert high.diff_id == low.diff_id
    assert high.chain_id != low.chain_id
    assert len(list((tmp_path / "blobs" / "sha256").iterdir())) == 1
    assert layers.register(io.BytesIO(data), low.chain_id) == high


def test_layer_that_cannot_be_unpacked_leaves_no_folder(layers, tmp_path):
    with pytest.raises(UnsafeArchive):
        layers.register(io.BytesIO(make_tar({"../f": "x"})), None)
    assert list((tmp_path / "layers").iterdir()) == []


def test_read_only_folders_go_too(layers, tmp_path):
    layer = layers.register(io.BytesIO(make_tar({"d/": (b"", 0o500), "d/e/": (b"", 0o500), "d/e/f": "x"})), None)
    layers.delete(layer.chain_id)
    assert list((tmp_path / "layers").iterdir()) == []


@pytest.mark.parametrize("name", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 32, "sha256:" + "G" * 64])
def test_what_is_no_digest_names_no_file(tmp_path, name):
    with pytest.raises(ValueError, match="is not a digest"):
        Blobs(tmp_path).path(name)


def test_a_layer_that_was_known_and_is_deleted_is_not_here(tmp_path):
    store = ImageStore(tmp_path / "images")
    other = ImageStore(tmp_path / "images")  # of another process
    chain = store.register_layer(io.BytesIO(make_tar({"f": "x"}))).chain_id
    assert store.layer(chain).size == other.layer(chain).size == 1
    other.discard([chain])
    with pytest.raises(FileNotFoundError):
        store.layer(chain)
