"""The image store: names, deleting what nothing else needs, many processes at once, save and load."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile

import pytest

from harness_images import make_tar
from kubelab.images import ImageConflict, ImageNotFound, ImageStore
from kubelab.images.archive import InvalidArchive
from kubelab.images.reference import InvalidReference


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


def make_image(store, *layers, parent="", **config):
    """An image with a layer for each dict of files."""
    diff_ids, chain = [], None
    for files in layers:
        layer = store.register_layer(io.BytesIO(make_tar(files)), chain)
        chain = layer.chain_id
        diff_ids.append(layer.diff_id)
    return store.put_image({"config": config, "rootfs": {"type": "layers", "diff_ids": diff_ids}}, parent)


def test_id_is_the_digest_of_the_config(store):
    image_id = make_image(store, {"f": "x"}, Cmd=["a"])
    assert make_image(store, {"f": "x"}, Cmd=["a"]) == image_id
    assert make_image(store, {"f": "x"}, Cmd=["b"]) != image_id
    image = store.get_image(image_id)
    assert (image.size, image.run_config) == (1, {"Cmd": ["a"]})


def test_lower_dirs_are_topmost_first(store):
    image_id = make_image(store, {"f": "low"}, {"f": "high"})
    assert [(folder / "f").read_text() for folder in store.lower_dirs(image_id)] == ["high", "low"]


def test_config_with_a_layer_that_is_not_there_is_refused(store):
    with pytest.raises(ImageConflict, match="is not in the store"):
        store.put_image({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}})


def test_resolve_by_name_and_by_id(store):
    image_id = make_image(store, {"f": "x"})
    store.tag(image_id, "docker.io/library/foo:1")
    hexdigest = image_id.removeprefix("sha256:")
    for name in ("foo:1", "docker.io/foo:1", image_id, hexdigest, hexdigest[:12], image_id[:19]):
        assert store.resolve(name).id == image_id
    for name, message in (
        ("foo", "No such image: foo:latest"),
        ("a/b:2", "No such image: a/b:2"),
        ("0" * 64, f"No such image: sha256:{'0' * 64}"),
    ):
        with pytest.raises(ImageNotFound) as error:
            store.resolve(name)
        assert str(error.value) == message
    with pytest.raises(InvalidReference, match="must be lowercase"):
        store.resolve("A b")


def test_name_goes_before_the_first_digits_of_an_id(store):
    first, second = make_image(store, {"f": "1"}), make_image(store, {"f": "2"})
    store.tag(second, first.removeprefix("sha256:")[:12])
    assert store.resolve(first.removeprefix("sha256:")[:12]).id == second


def test_tag_moves(store):
    first, second = make_image(store, {"f": "1"}), make_image(store, {"f": "2"})
    store.tag(first, "foo")
    store.tag(second, "foo")
    assert store.references(first) == []
    assert store.references(second) == ["foo:latest"]


def test_deleting_keeps_the_layers_that_others_have(store, tmp_path):
    base, top = {"f": "base"}, {"g": "top"}
    low = make_image(store, base, Cmd=["low"])
    high = make_image(store, base, top, Cmd=["high"])
    deleted = store.delete(high)
    assert deleted[0] == high
    assert len(deleted) == 2
    assert (store.lower_dirs(low)[0] / "f").read_text() == "base"
    assert store.delete(low) == [low, _digest(make_tar(base))]
    assert [list((store.folder / name).iterdir()) for name in ("layers", "images", "blobs/sha256")] == [[], [], []]


def test_image_with_children_stays(store):
    parent = make_image(store, {"f": "x"})
    child = make_image(store, {"f": "x"}, parent=parent, Cmd=["child"])
    assert store.children(parent) == [child]
    with pytest.raises(ImageConflict, match="image has dependent child images"):
        store.delete(parent)


def test_sweep_takes_what_killed_writers_left(store):
    image_id = make_image(store, {"f": "kept"})
    store.register_layer(io.BytesIO(make_tar({"f": "orphan"})))
    store.put_blob(io.BytesIO(b"orphan"))
    (store.folder / "layers" / ".half-made").mkdir()
    store.sweep()
    assert len(list((store.folder / "layers").iterdir())) == 3  # too young to judge
    store.sweep(older_than=-1)
    assert [len(list((store.folder / name).iterdir())) for name in ("layers", "blobs/sha256")] == [1, 2]
    assert (store.lower_dirs(image_id)[0] / "f").read_text() == "kept"


TAG_MANY = """
import sys
from pathlib import Path
from kubelab.images import ImageStore
store, image, name = ImageStore(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
for number in range(20):
    store.tag(image, f"{name}:{number}")
"""


def test_many_processes_lose_no_tag(store):
    image_id = make_image(store, {"f": "x"})
    command = [sys.executable, "-c", TAG_MANY, str(store.folder), image_id]
    writers = [subprocess.Popen([*command, name]) for name in ("a", "b", "c")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(store.tags()) == 60


def saved(store, *names):
    archive = io.BytesIO()
    store.save(names, archive)
    archive.seek(0)
    return archive


def test_save_and_load_keep_ids_names_and_layers(store, tmp_path):
    image_id = make_image(store, {"f": "low"}, {"g": "high"}, Cmd=["run"])
    store.tag(image_id, "foo:1")
    store.tag(image_id, "foo:2")
    other = ImageStore(tmp_path / "other")
    ((image, _),) = other.load(saved(store, "foo:1", "foo:2"))
    assert image.id == image_id
    assert other.references(image_id) == ["foo:1", "foo:2"]
    assert [(folder / name).read_text() for folder, name in zip(other.lower_dirs(image_id), "gf", strict=True)] == [
        "high",
        "low",
    ]
    assert saved(other, "foo:1", "foo:2").read() == saved(store, "foo:1", "foo:2").read()


def test_saved_by_id_has_no_name(store, tmp_path):
    image_id = make_image(store, {"f": "x"})
    with tarfile.open(fileobj=saved(store, image_id)) as tar:
        assert json.load(tar.extractfile("manifest.json"))[0]["RepoTags"] is None
        assert "repositories" not in tar.getnames()


def test_load_of_an_oci_layout(store):
    layer = make_tar({"f": "oci"})
    config = json.dumps({"config": {}, "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]}}).encode()
    manifest = json.dumps({"config": {"digest": _digest(config)}, "layers": [{"digest": _digest(layer)}]}).encode()
    annotations = {"io.containerd.image.name": "docker.io/library/oci:1"}
    index = json.dumps({"manifests": [{"digest": _digest(manifest), "annotations": annotations}]}).encode()
    blobs = {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in (layer, config, manifest)}
    ((image, names),) = store.load(io.BytesIO(make_tar({"index.json": index, **blobs})))
    assert store.references(image.id) == names == ["oci:1"]
    assert (store.lower_dirs(image.id)[0] / "f").read_text() == "oci"


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"nothing", "invalid archive"),
        (make_tar({"f": "x"}), "neither manifest.json .* nor index.json"),
        (make_tar({"manifest.json": '[{"Config": "c.json", "RepoTags": [], "Layers": []}]'}), "c.json is missing"),
        (make_tar({"manifest.json": "[{}]"}), "invalid archive"),
    ],
)
def test_what_cannot_be_loaded(store, data, message):
    with pytest.raises(InvalidArchive, match=message):
        store.load(io.BytesIO(data))


def test_archive_whose_layer_is_another_is_refused(store):
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + "0" * 64]}})
    manifest = '[{"Config": "c.json", "RepoTags": ["foo:1"], "Layers": ["l.tar"]}]'
    archive = make_tar({"manifest.json": manifest, "c.json": config, "l.tar": make_tar({"f": "x"})})
    with pytest.raises(InvalidArchive, match=r"invalid diffID for layer l\.tar"):
        store.load(io.BytesIO(archive))
    assert store.all() == []
