"""commit, import, export, system df and image prune through the docker SDK."""

from __future__ import annotations

import io
import tarfile

import docker
import pytest

from engines.engine.levels import isolated
from engines.engine.test_build import build, saved
from harness_images import make_tar

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def ended(client):
    """A container that wrote /made and ended."""
    container = client.containers.create("kubelab/python", ["sh", "-c", "echo x > /made"], labels={"a": "b"})
    container.start()
    container.wait()
    yield container
    container.remove(force=True)


@isolated
def test_commit_makes_a_layer_of_what_the_container_wrote(client, ended):
    image = ended.commit("made", tag="v1", message="why", author="me")
    assert image.tags == ["made:v1"]
    assert (image.attrs["Author"], image.attrs["Comment"], image.attrs["Container"]) == ("me", "why", ended.id)
    assert image.attrs["Parent"] == client.images.get("kubelab/python").id
    assert image.labels["a"] == "b"
    (line, *_) = image.history()
    assert (line["CreatedBy"], line["Comment"], line["Size"]) == ("sh -c echo x > /made", "why", 2)
    config, layers = saved(client, "made:v1")
    assert [entry[0] for entry in layers[-1]] == ["made"]
    assert config["history"][-1]["author"] == "me"


def test_commit_changes_the_configuration(ended):
    changes = ['CMD ["q"]', "ENV E=2 F=$E", "WORKDIR /w", "EXPOSE 80", "USER nobody", "VOLUME /v", "ONBUILD RUN x"]
    config = ended.commit("changed", changes=changes, conf={"Env": ["G=1"]}).attrs["Config"]
    assert config["Cmd"] == ["q"]
    assert config["Env"][:3] == ["G=1", "E=2", "F="]
    assert (config["WorkingDir"], config["User"]) == ("/w", "nobody")
    assert (config["ExposedPorts"], config["Volumes"], config["OnBuild"]) == ({"80/tcp": {}}, {"/v": {}}, ["RUN x"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN x", "run is not a valid change command"),
        ("STOPSIGNAL 9", "stopsignal is not a valid change command"),
        ("ENV", "ENV requires at least one argument"),
    ],
)
def test_change_that_is_none(ended, change, message):
    with pytest.raises(docker.errors.APIError) as error:
        ended.commit(changes=[change])
    assert (error.value.status_code, error.value.explanation) == (400, message)


@isolated
def test_import_and_export_are_one_file_system(client):
    tar = make_tar({"d/": b"", "d/g": ("x", 0o600), "f": "hello"})
    answer = client.api.import_image_from_data(tar, repository="imported", tag="v", changes=["CMD x", "ENV A=b"])
    assert '{"status":"sha256:' in answer
    image = client.images.get("imported:v")
    assert (image.attrs["Comment"], image.attrs["Size"]) == ("Imported from -", 6)
    assert image.attrs["Config"]["Cmd"] == ["/bin/sh", "-c", "x"]
    assert image.attrs["Config"]["Env"] == ["A=b"]
    assert [(line["CreatedBy"], line["Comment"]) for line in image.history()] == [("", "Imported from -")]
    container = client.containers.create("imported:v")
    try:
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as exported:
            found = {each.name: (each.mode & 0o7777, each.size) for each in exported}
    finally:
        container.remove()
    assert {name: found[name] for name in ("d", "d/g", "f")} == {"d": (0o755, 0), "d/g": (0o600, 1), "f": (0o644, 5)}


def test_import_of_what_is_no_tar(client):
    answer = client.api._post(client.api._url("/images/create"), params={"fromSrc": "-"}, data=b"no tar" * 200)
    assert answer.status_code >= 400
    assert "Error processing tar file" in answer.json()["message"]


def test_df_counts_shared_layers_once(client):
    first, _ = build(client, "FROM kubelab/python\nCOPY f /f\n", {"f": "12345"}, tag="one")
    second, _ = build(client, "FROM one\nCOPY g /g\n", {"g": "123"}, tag="two")
    found = client.df()
    lines = {line["Id"]: line for line in found["Images"]}
    base = client.images.get("kubelab/python").attrs["Size"]
    assert lines[first.id]["SharedSize"] == lines[first.id]["Size"] == base + 5
    assert lines[second.id]["SharedSize"] == base + 5
    assert lines[second.id]["Containers"] == 0
    assert found["LayersSize"] >= base + 8


def test_prune_by_label_and_age(client):
    first, _ = build(client, "FROM scratch\nLABEL a=b\n", tag="labelled")
    build(client, "FROM scratch\nLABEL a=c\n", tag="labelled")
    assert client.images.prune(filters={"label": ["a=c"]})["ImagesDeleted"] is None
    assert client.images.prune(filters={"label!": ["a=b"]})["ImagesDeleted"] is None
    assert client.images.prune(filters={"until": ["1h"]})["ImagesDeleted"] is None
    assert {"Deleted": first.id} in client.images.prune(filters={"label": ["a=b"]})["ImagesDeleted"]
    with pytest.raises(docker.errors.APIError, match="failed to parse value as time or duration"):
        client.images.prune(filters={"until": ["x"]})
