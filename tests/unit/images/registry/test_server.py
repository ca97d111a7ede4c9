"""The lab's registry by the distribution spec's own list of what a registry does, and with our client."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace

import aiohttp
import pytest

from harness_images import make_tar
from kubelab.images.reference import parse
from kubelab.images.registry import Registry, RegistryError, pull, push
from kubelab.images.registry.manifests import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Platform
from kubelab.images.registry.server import RegistryServer, peers
from kubelab.images.store import ImageStore

AMD = Platform("linux", "amd64")
IS_MANIFEST = {"Content-Type": OCI_MANIFEST}


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


@pytest.fixture
async def address(tmp_path, store):
    server = RegistryServer(tmp_path / "registry", store)
    port = await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop()


class Http:
    """Requests below /v2/ as (status, headers, body)."""

    def __init__(self, session, address):
        self._session, self._base = session, f"http://{address}"

    async def __call__(self, method, path, **options):
        url = self._base + (path if path.startswith("/") else f"/v2/{path}")
        async with self._session.request(method, url, **options) as answer:
            return answer.status, answer.headers, await answer.read()


@pytest.fixture
async def http(address):
    async with aiohttp.ClientSession() as session:
        yield Http(session, address)


def code(body: bytes) -> str:
    return json.loads(body)["errors"][0]["code"]


async def blob(http, name: str, data: bytes) -> dict:
    status, _, _ = await http("POST", f"{name}/blobs/uploads/?digest={sha(data)}", data=data)
    assert status == 201
    return {"mediaType": "application/octet-stream", "digest": sha(data), "size": len(data)}


async def manifest(http, name: str, reference: str = "v1", **more) -> tuple[bytes, str]:
    config = {**await blob(http, name, b"{}"), "mediaType": OCI_CONFIG}
    data = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [], **more}).encode()
    if reference == "digest":
        reference = sha(data)
    status, headers, body = await http(
        "PUT", f"{name}/manifests/{reference}", data=data, headers={"Content-Type": OCI_MANIFEST}
    )
    assert status == 201, body
    assert headers["Docker-Content-Digest"] == sha(data)
    return data, sha(data)


async def test_it_says_that_it_speaks_version_2(http):
    status, headers, body = await http("GET", "")
    assert (status, body, headers["Docker-Distribution-Api-Version"]) == (200, b"{}", "registry/2.0")


# -- blobs


async def test_a_blob_is_sent_at_once_and_read_whole_or_in_part(http):
    data = os.urandom(100_000)
    described = await blob(http, "a/b", data)
    path = f"a/b/blobs/{described['digest']}"
    status, headers, body = await http("HEAD", path)
    assert (status, headers["Content-Length"], headers["Docker-Content-Digest"], body) == (
        200,
        "100000",
        sha(data),
        b"",
    )
    assert (await http("GET", path))[2] == data
    status, headers, body = await http("GET", path, headers={"Range": "bytes=99990-"})
    assert (status, headers["Content-Range"], body) == (206, "bytes 99990-99999/100000", data[99990:])
    assert (await http("GET", path, headers={"Range": "bytes=100000-"}))[0] == 416


async def test_a_blob_comes_in_chunks_in_their_order(http):
    first, second = b"a" * 1000, b"b" * 500
    status, headers, _ = await http("POST", "a/blobs/uploads/")
    assert (status, headers["Range"]) == (202, "0-0")
    where = headers["Location"]
    status, headers, _ = await http("PATCH", where, data=first, headers={"Content-Range": "0-999"})
    assert (status, headers["Range"]) == (202, "0-999")
    status, headers, body = await http("PATCH", where, data=second, headers={"Content-Range": "1500-1999"})
    assert (status, headers["Range"], code(body)) == (416, "0-999", "RANGE_INVALID")
    assert (await http("PATCH", where, data=second, headers={"Content-Range": "1000-1999"}))[0] == 400
    status, headers, _ = await http("GET", where)
    assert (status, headers["Range"]) == (204, "0-999")
    whole = sha(first + second)
    status, headers, _ = await http(
        "PUT", f"{where}?digest={whole}", data=second, headers={"Content-Range": "1000-1499"}
    )
    assert (status, headers["Docker-Content-Digest"]) == (201, whole)
    assert (await http("GET", headers["Location"]))[2] == first + second
    assert (await http("GET", where))[0] == 404


async def test_a_blob_that_is_not_what_its_digest_says_is_refused_and_gone(http, tmp_path):
    status, _, body = await http("POST", f"a/blobs/uploads/?digest={sha(b'other')}", data=b"content")
    assert (status, code(body)) == (400, "DIGEST_INVALID")
    for wrong in ("sha256:short", "md5:" + "0" * 32, "sha256:" + "G" * 64):
        assert (await http("POST", f"a/blobs/uploads/?digest={wrong}", data=b"content"))[0] == 400
    assert list((tmp_path / "registry" / "uploads").iterdir()) == []
    assert (await http("HEAD", f"a/blobs/{sha(b'content')}"))[0] == 404


async def test_an_upload_is_given_up(http):
    where = (await http("POST", "a/blobs/uploads/"))[1]["Location"]
    assert (await http("DELETE", where))[0] == 204
    status, _, body = await http("PATCH", where, data=b"x")
    assert (status, code(body)) == (404, "BLOB_UPLOAD_UNKNOWN")


async def test_a_blob_is_a_repository_s_own_until_another_takes_it_over(http):
    described = await blob(http, "a", b"shared")
    digest = described["digest"]
    assert (await http("HEAD", f"b/blobs/{digest}"))[0] == 404
    status, headers, _ = await http("POST", f"b/blobs/uploads/?mount={digest}&from=a")
    assert (status, headers["Location"]) == (201, f"/v2/b/blobs/{digest}")
    assert (await http("POST", f"c/blobs/uploads/?mount={digest}&from=nowhere"))[0] == 202
    assert (await http("POST", f"c/blobs/uploads/?mount={digest}"))[0] == 201
    assert (await http("DELETE", f"a/blobs/{digest}"))[0] == 202
    assert (await http("GET", f"b/blobs/{digest}"))[2] == b"shared"
    assert (await http("GET", f"a/blobs/{digest}"))[0] == 404
    for name in ("b", "c"):
        assert (await http("DELETE", f"{name}/blobs/{digest}"))[0] == 202
    status, _, body = await http("DELETE", f"b/blobs/{digest}")
    assert (status, code(body)) == (404, "BLOB_UNKNOWN")


# -- manifests


async def test_a_manifest_is_read_by_tag_and_by_digest_and_deleted_by_both(http):
    data, digest = await manifest(http, "team/app")
    for reference in ("v1", digest):
        status, headers, body = await http("GET", f"team/app/manifests/{reference}")
        assert (status, body, headers["Content-Type"], headers["Docker-Content-Digest"]) == (
            200,
            data,
            OCI_MANIFEST,
            digest,
        )
        status, headers, body = await http("HEAD", f"team/app/manifests/{reference}")
        assert (status, int(headers["Content-Length"]), body) == (200, len(data), b"")
    assert (await http("DELETE", "team/app/manifests/v1"))[0] == 202
    assert (await http("GET", f"team/app/manifests/{digest}"))[0] == 200
    assert (await http("DELETE", f"team/app/manifests/{digest}"))[0] == 202
    status, _, body = await http("GET", f"team/app/manifests/{digest}")
    assert (status, code(body)) == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("data", "type", "expected"),
    [
        (b"no json", OCI_MANIFEST, "MANIFEST_INVALID"),
        (b"[]", OCI_MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 1}', "application/vnd.docker.distribution.manifest.v1+prettyjws", "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "mediaType": "x/y"}', OCI_MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "layers": [{}]}', OCI_MANIFEST, "MANIFEST_INVALID"),
        (b'{"schemaVersion": 2, "manifests": 1}', OCI_INDEX, "MANIFEST_INVALID"),
        (
            json.dumps({"schemaVersion": 2, "config": {"digest": sha(b"x"), "size": 1}, "layers": []}).encode(),
            OCI_MANIFEST,
            "MANIFEST_BLOB_UNKNOWN",
        ),
        (b" " * (5 << 20), OCI_MANIFEST, "MANIFEST_INVALID"),
    ],
)
async def test_manifests_that_are_none_are_refused(http, data, type, expected):
    status, _, body = await http("PUT", "a/manifests/v1", data=data, headers={"Content-Type": type})
    assert (status, code(body)) == (400, expected)
    assert (await http("GET", "a/tags/list"))[0] == 404


async def test_a_manifest_under_another_digest_is_refused(http):
    data, _ = await manifest(http, "a")
    status, _, body = await http("PUT", f"a/manifests/{sha(b'x')}", data=data, headers={"Content-Type": OCI_MANIFEST})
    assert (status, code(body)) == (400, "DIGEST_INVALID")
    assert (await http("PUT", "a/manifests/-no-tag", data=data, headers={"Content-Type": OCI_MANIFEST}))[0] == 400


async def test_an_index_needs_its_manifests(http):
    data, digest = await manifest(http, "a")
    items = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(data),
            "platform": {"os": "linux", "architecture": "amd64"},
        }
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": items}).encode()
    assert (await http("PUT", "a/manifests/all", data=index, headers={"Content-Type": OCI_INDEX}))[0] == 201
    status, _, body = await http("PUT", "b/manifests/all", data=index, headers={"Content-Type": OCI_INDEX})
    assert (status, code(body)) == (400, "MANIFEST_BLOB_UNKNOWN")


async def test_tags_and_repositories_come_in_pages(http):
    for tag in ("c", "a", "b"):
        await manifest(http, "x/y", tag)
    await manifest(http, "z")
    assert json.loads((await http("GET", "x/y/tags/list"))[2]) == {"name": "x/y", "tags": ["a", "b", "c"]}
    status, headers, body = await http("GET", "x/y/tags/list?n=2")
    assert json.loads(body)["tags"] == ["a", "b"] and headers["Link"] == '</v2/x/y/tags/list?n=2&last=b>; rel="next"'
    status, headers, body = await http("GET", "x/y/tags/list?n=2&last=b")
    assert json.loads(body)["tags"] == ["c"] and "Link" not in headers
    assert json.loads((await http("GET", "_catalog?n=1"))[2]) == {"repositories": ["x/y"]}
    assert json.loads((await http("GET", "_catalog?n=0"))[2]) == {"repositories": []}
    status, _, body = await http("GET", "_catalog?n=x")
    assert (status, code(body)) == (400, "PAGINATION_NUMBER_INVALID")
    status, _, body = await http("GET", "none/tags/list")
    assert (status, code(body)) == (404, "NAME_UNKNOWN")


async def test_who_refers_to_a_manifest(http):
    data, digest = await manifest(http, "a")
    subject = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(data)}
    notes = {"made.by": "a test"}
    sbom, _ = await manifest(http, "a", "digest", subject=subject, artifactType="example/sbom", annotations=notes)
    await manifest(http, "a", "digest", subject=subject, artifactType="example/signature")
    status, headers, body = await http("GET", f"a/referrers/{digest}")
    found = json.loads(body)
    assert (status, headers["Content-Type"], found["mediaType"]) == (200, OCI_INDEX, OCI_INDEX)
    assert {each["artifactType"] for each in found["manifests"]} == {"example/sbom", "example/signature"}
    status, headers, body = await http("GET", f"a/referrers/{digest}?artifactType=example/sbom")
    assert headers["OCI-Filters-Applied"] == "artifactType"
    described = {"mediaType": OCI_MANIFEST, "digest": sha(sbom), "size": len(sbom)}
    assert json.loads(body)["manifests"] == [{**described, "artifactType": "example/sbom", "annotations": notes}]
    assert json.loads((await http("GET", f"a/referrers/{sha(b'x')}"))[2])["manifests"] == []


@pytest.mark.parametrize(
    "path", ["UPPER/manifests/v1", "a/../b/manifests/v1", "_x/tags/list", "a//b/tags/list", "%2e%2e/tags/list"]
)
async def test_names_that_are_none(http, path):
    status, _, body = await http("GET", path)
    assert status == 404 and code(body) in ("NAME_INVALID", "NAME_UNKNOWN", "MANIFEST_UNKNOWN")


# -- the engine's own images, and our client


def lab_image(store: ImageStore, name: str, content: str = "x") -> str:
    layer = store.register_layer(io.BytesIO(make_tar({"f": content})))
    image_id = store.put_image(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }
    )
    store.tag(image_id, name)
    return image_id


async def test_the_engine_s_images_can_be_pulled(http, address, store, tmp_path):
    image_id = lab_image(store, "kubelab/hello:1")
    lab_image(store, "elsewhere.example/x:1", "y")
    assert json.loads((await http("GET", "_catalog"))[2]) == {"repositories": ["kubelab/hello"]}
    assert json.loads((await http("GET", "kubelab/hello/tags/list"))[2])["tags"] == ["1"]
    other = ImageStore(tmp_path / "other")
    reference = parse(f"{address}/kubelab/hello:1")
    async with Registry(reference) as registry:
        pulled = await pull(other, registry, reference, AMD)
        assert pulled.image_id == image_id
        by_digest = replace(reference, tag="", digest=pulled.digest)
        assert (await pull(other, registry, by_digest, AMD)).image_id == image_id
    status, _, body = await http("DELETE", f"kubelab/hello/manifests/{pulled.digest}")
    assert (status, code(body)) == (405, "UNSUPPORTED")


async def test_what_our_client_pushes_comes_back_and_outlives_the_server(address, store, tmp_path):
    image_id = lab_image(store, f"{address}/team/app:v1", "x" * 50_000)
    reference = parse(f"{address}/team/app:v1")
    async with Registry(reference, actions="pull,push") as registry:
        pushed = await push(store, registry, reference, store.get_image(image_id))
        assert await registry.tags() == ["v1"]
    again = RegistryServer(tmp_path / "registry", store)
    port = await again.start()
    try:
        reference = parse(f"localhost:{port}/team/app@{pushed.digest}")
        other = ImageStore(tmp_path / "other")
        async with Registry(reference) as registry:
            assert (await pull(other, registry, reference, AMD)).image_id == image_id
    finally:
        await again.stop()


async def test_what_was_pushed_stays_when_the_engine_s_image_of_that_name_goes(address, store, tmp_path):
    image_id = lab_image(store, "team/app:1")
    reference = parse(f"{address}/team/app:1")
    async with Registry(reference, actions="pull,push") as registry:
        await push(store, registry, reference, store.get_image(image_id))
        store.delete(image_id)
        assert (await pull(ImageStore(tmp_path / "other"), registry, reference, AMD)).image_id == image_id


async def test_a_layer_is_mounted_where_another_repository_has_it(address, store):
    lines = []

    async def report(line):
        lines.append(line["status"])

    for name in ("one", "two"):
        image_id = lab_image(store, f"{address}/{name}:v1")
        reference = parse(f"{address}/{name}:v1")
        async with Registry(reference, actions="pull,push") as registry:
            await push(store, registry, reference, store.get_image(image_id), report)
    assert "Pushed" in lines and "Mounted from one" in lines


async def test_what_is_not_there_in_the_words_of_dockerd(address, store):
    reference = parse(f"{address}/no/such:v1")
    async with Registry(reference) as registry:
        with pytest.raises(RegistryError, match="no/such:v1 not found: manifest unknown: manifest unknown"):
            await pull(store, registry, reference, AMD)
        with pytest.raises(RegistryError, match="no/such not found: name unknown: repository name not known"):
            await registry.tags()


# -- who may


def test_the_other_end_s_owner_is_told_by_the_kernel():
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        connection, _ = server.accept()
        assert peers.owner(connection) == os.getuid()
        client.close()
        assert peers.owner(connection) is None  # the kernel shows what is closed as root's
        connection.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
async def test_another_user_of_the_machine_is_refused(address):
    script = """
import sys, urllib.request, urllib.error
try: urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError as error: print(error.code, error.read().decode())
"""

    def other() -> None:
        os.setgid(65534)
        os.setuid(65534)

    process = await asyncio.create_subprocess_exec(
        "/usr/bin/env",
        "python3",
        "-c",
        script,
        f"http://{address}/v2/",
        stdout=subprocess.PIPE,
        preexec_fn=other,
        env={"PATH": "/usr/bin:/bin"},
    )
    output, _ = await process.communicate()
    assert output.startswith(b"403 ") and b"DENIED" in output, (output, sys.version)
