"""`docker save` of one engine is `docker load` of the other, in the layout of old engines and in OCI's."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile

import pytest

from engines.engine.real_engine import BASE
from engines.engine.test_build import build
from kubelab.images.blobs import digest_of

pytestmark = [pytest.mark.timeout(180)]
RECIPE = f"FROM {BASE}\nRUN mkdir /d && echo x > /d/f && ln /d/f /d/h && chmod 4755 /d/f\nRUN rm -rf /d/f\nCMD run me\n"


def seen(client, name: str) -> dict:
    image = client.images.get(name)
    names = ("Id", "RepoTags", "Config", "Created", "Size", "RootFS", "Architecture", "Os")
    return {key: image.attrs[key] for key in names} | {
        "history": [(line["CreatedBy"], line["Size"], line["Created"]) for line in image.history()]
    }


@pytest.mark.requires("dockerd")
@pytest.mark.parametrize(("giver", "taker"), [("embedded", "host"), ("host", "embedded")])
def test_image_is_the_same_after_the_journey(both_engines, giver, taker):
    build(both_engines[giver], RECIPE, tag="exchanged:1")
    both_engines[giver].images.get("exchanged:1").tag("exchanged:2")
    archive = b"".join(both_engines[giver].api.get_image("exchanged"))
    said = list(both_engines[taker].api.load_image(archive))
    assert [line["stream"] for line in said if "stream" in line] == [
        "Loaded image: exchanged:1\n",
        "Loaded image: exchanged:2\n",
    ]
    assert seen(both_engines[taker], "exchanged:1") == seen(both_engines[giver], "exchanged:1")
    run = both_engines[taker].containers.run("exchanged:2", ["sh", "-c", "cat /d/h; ls /d"], remove=True)
    assert run == b"x\nh\n"


def test_archive_is_an_oci_layout_too(engine_client, tmp_path):
    build(engine_client, RECIPE, tag="layout")
    archive = b"".join(engine_client.images.get("layout").save(named=True))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = set(tar.getnames())
        if "index.json" not in names:  # an engine before 25
            assert {"manifest.json", "repositories"} <= names
            return
        read = {name: tar.extractfile(name).read() for name in names if not tar.getmember(name).isdir()}
    assert json.loads(read["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (descriptor,) = json.loads(read["index.json"])["manifests"]
    assert descriptor["annotations"] == {
        "io.containerd.image.name": "docker.io/library/layout:latest",
        "org.opencontainers.image.ref.name": "latest",
    }
    for name, data in read.items():
        if name.startswith("blobs/"):
            assert digest_of(data) == name.removeprefix("blobs/").replace("/", ":")
    manifest = json.loads(read["blobs/" + descriptor["digest"].replace(":", "/")])
    assert [layer["digest"] for layer in manifest["layers"]] == engine_client.images.get("layout").attrs["RootFS"][
        "Layers"
    ]


@pytest.mark.requires("skopeo")
@pytest.mark.parametrize("kind", ["oci-archive", "docker-archive"])
def test_skopeo_reads_what_was_saved_and_its_copy_is_loaded(embedded_engine, engine_client, tmp_path, kind):
    build(engine_client, RECIPE, tag="skopeo")
    saved, copied = tmp_path / "saved.tar", tmp_path / "copied.tar"
    saved.write_bytes(b"".join(engine_client.images.get("skopeo").save(named=True)))
    with tarfile.open(saved) as tar:
        if kind == "oci-archive" and "index.json" not in tar.getnames():
            kind = "docker-archive"
    command = ["skopeo", "--insecure-policy", "copy", f"{kind}:{saved}", f"docker-archive:{copied}:skopeo:copied"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with copied.open("rb") as file:
        engine_client.images.load(file)
    original, copy = (engine_client.images.get(f"skopeo:{tag}") for tag in ("latest", "copied"))
    assert copy.attrs["RootFS"] == original.attrs["RootFS"]
