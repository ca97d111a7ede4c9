"""Pulling from registries of every kind, and from those that are wrong."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
import zstandard

from kubelab.images.registry import Registry, RegistryError, pull, retry
from kubelab.images.registry.auth import Challenge, Credentials
from kubelab.images.registry.manifests import MANIFEST, MANIFEST_LIST, OCI_INDEX, InvalidManifest, Platform
from kubelab.images.store import ImageNotFound, ImageStore
from unit.images.registry.fake import TOKEN, FakeRegistry

AMD = Platform("linux", "amd64")


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


@pytest.fixture
async def registry():
    async with FakeRegistry() as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """The countdown before another attempt takes no time."""
    monkeypatch.setattr(retry, "second", lambda: asyncio.sleep(0))


async def pulled(store, registry, name, platform=AMD, credentials=None, report=None):
    async def keep(line):
        if report is not None:
            report.append(line)

    reference = registry.reference(name)
    async with Registry(reference, credentials) as client:
        return await pull(store, client, reference, platform, keep)


@pytest.mark.parametrize("oci", [False, True])
async def test_image_and_its_digest_have_names(store, registry, oci):
    digest = registry.image("v1", oci=oci)
    found = await pulled(store, registry, "a/b:v1")
    assert (found.digest, found.newer) == (digest, True)
    assert store.resolve(f"{registry.host}/a/b:v1").id == found.image_id
    assert store.resolve(f"{registry.host}/a/b@{digest}").id == found.image_id
    assert (store.lower_dirs(found.image_id)[0] / "f").read_text() == "v1"
    assert not (await pulled(store, registry, "a/b:v1")).newer


@pytest.mark.parametrize("media_type", [MANIFEST_LIST, OCI_INDEX])
async def test_platform_is_chosen_from_a_list(store, registry, media_type):
    amd, arm = registry.image("amd"), registry.image("arm")
    digest = registry.index("v1", media_type, arm64=arm, amd64=amd)
    found = await pulled(store, registry, "a:v1")
    assert (found.digest, (store.lower_dirs(found.image_id)[0] / "f").read_text()) == (digest, "amd")
    found = await pulled(store, registry, "a:v1", Platform("linux", "arm64"))
    assert (store.lower_dirs(found.image_id)[0] / "f").read_text() == "arm"
    with pytest.raises(InvalidManifest, match="no matching manifest for linux/s390x in the manifest list entries"):
        await pulled(store, registry, "a:v1", Platform("linux", "s390x"))


async def test_broken_download_goes_on_where_it_stopped(store, registry):
    registry.image("v1")
    layer = json.loads(registry.manifests["v1"][0])["layers"][0]["digest"]
    registry.cut[layer] = 20
    found = await pulled(store, registry, "a:v1")
    assert registry.ranges == ["bytes=20-"]
    assert store.exists(found.image_id)


# -- what must not get in


async def test_blob_that_is_not_what_its_digest_says(store, registry):
    registry.image("v1")
    layer = json.loads(registry.manifests["v1"][0])["layers"][0]["digest"]
    registry.blobs[layer] = bytes(reversed(registry.blobs[layer]))
    with pytest.raises(InvalidManifest, match="layer verification failed for digest"):
        await pulled(store, registry, "a:v1")
    assert (store.all(), store.tags()) == ([], {})


async def test_blob_that_is_longer_than_announced(store, registry):
    registry.image("v1")
    layer = json.loads(registry.manifests["v1"][0])["layers"][0]["digest"]
    registry.blobs[layer] += b"more"
    with pytest.raises(InvalidManifest, match="is larger than the"):
        await pulled(store, registry, "a:v1")


async def test_manifest_that_is_not_what_its_digest_says(store, registry):
    digest = registry.image("v1")
    registry.image("v2")
    registry.manifests[digest] = registry.manifests["v2"]
    with pytest.raises(InvalidManifest, match="manifest verification failed for digest"):
        await pulled(store, registry, f"a@{digest}")


async def test_layers_that_are_not_the_configs(store, registry):
    registry.image("v1", rootfs={"type": "layers", "diff_ids": ["sha256:" + "0" * 64]})
    with pytest.raises(InvalidManifest, match="layers from manifest don't match image configuration"):
        await pulled(store, registry, "a:v1")
    assert store.tags() == {}
    registry.image("v2", rootfs={"type": "layers", "diff_ids": []})
    with pytest.raises(InvalidManifest, match="layers from manifest don't match image configuration"):
        await pulled(store, registry, "a:v2")


async def test_image_of_another_system(store, registry):
    registry.image("v1", os="windows")
    with pytest.raises(InvalidManifest, match='operating system "windows" cannot be used'):
        await pulled(store, registry, "a:v1")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (
            {"schemaVersion": 1},
            r"schema 1 support is disabled .* the author of 127.0.0.1:\d+/a:v1 to",
        ),
        ({"schemaVersion": 3}, "schemaVersion 2 is expected, not 3"),
        ({"schemaVersion": 2, "manifests": 1}, "a list of manifests is expected"),
        ({"schemaVersion": 2}, "it lists no layers"),
        ([], "a JSON object is expected"),
        ({"schemaVersion": 2, "layers": [], "config": {"digest": "sha256:zz", "size": 1}}, "is no descriptor"),
        (
            {
                "schemaVersion": 2,
                "layers": [],
                "config": {"mediaType": "x/y", "digest": "sha256:" + "0" * 64, "size": 1},
            },
            r'Encountered remote "x/y"\(unknown\) when fetching',
        ),
    ],
)
async def test_manifests_that_are_none(store, registry, manifest, message):
    registry.put("v1", manifest, "application/json")
    with pytest.raises(InvalidManifest, match=message):
        await pulled(store, registry, "a:v1")


async def test_layers_may_be_zstd_or_plain(store, registry):
    registry.image("v1", compress=zstandard.ZstdCompressor().compress)
    registry.image("v2", compress=bytes, oci=True)
    for name in ("v1", "v2"):
        found = await pulled(store, registry, f"a:{name}")
        assert (store.lower_dirs(found.image_id)[0] / "f").read_text() == name


@pytest.mark.parametrize("compress", [lambda tar: b"\x28\xb5\x2f\xfd" + tar, lambda tar: gzip.compress(tar)[:-20]])
async def test_a_layer_that_does_not_decompress(store, registry, compress):
    registry.image("v1", compress=compress)
    with pytest.raises(InvalidManifest, match="failed to register layer"):
        await pulled(store, registry, "a:v1")
    with pytest.raises(ImageNotFound):
        store.resolve(f"{registry.host}/a:v1")


async def test_a_foreign_layer_is_refused_by_name(store, registry):
    registry.image("v1")
    manifest = json.loads(registry.manifests["v1"][0])
    manifest["layers"][0]["mediaType"] = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    registry.put("v1", manifest, MANIFEST)
    with pytest.raises(InvalidManifest, match=r"layer sha256:\w+ is a foreign layer \(application/vnd.docker"):
        await pulled(store, registry, "a:v1")


async def test_the_same_layer_twice_is_fetched_once(store, registry):
    registry.image("v1")
    manifest = json.loads(registry.manifests["v1"][0])
    config = json.loads(registry.blobs[manifest["config"]["digest"]])
    config["rootfs"]["diff_ids"] *= 2
    data = json.dumps(config).encode()
    manifest["config"] |= {"digest": registry.blob(data), "size": len(data)}
    manifest["layers"] *= 2
    registry.put("v1", manifest, MANIFEST)
    found = await pulled(store, registry, "a:v1")
    assert len(store.lower_dirs(found.image_id)) == 2
    layer = manifest["layers"][0]["digest"]
    assert [each[1] for each in registry.seen].count(f"/v2/a/blobs/{layer}") == 1


# -- again and again


async def test_a_download_is_tried_five_times_with_a_countdown(store, registry):
    registry.image("v1")
    layer = json.loads(registry.manifests["v1"][0])["layers"][0]["digest"]
    registry.fails[layer] = [(503, "TOOMANYREQUESTS")] * 4
    lines: list[dict] = []
    found = await pulled(store, registry, "a:v1", report=lines)
    assert store.exists(found.image_id)
    counted = [each["status"] for each in lines if each["status"].startswith("Retrying")]
    assert counted[0] == "Retrying in 5 seconds" and counted[4:6] == ["Retrying in 1 second", "Retrying in 10 seconds"]
    assert len(counted) == 5 + 10 + 15 + 20
    registry.image("v2")
    layer = json.loads(registry.manifests["v2"][0])["layers"][0]["digest"]
    registry.fails[layer] = [(503, "TOOMANYREQUESTS")] * 5
    with pytest.raises(RegistryError, match="toomanyrequests: no"):
        await pulled(store, registry, "a:v2")


@pytest.mark.parametrize("failure", [(403, "DENIED"), (404, "BLOB_UNKNOWN"), (500, "")])
async def test_what_lasts_is_not_tried_again(store, registry, failure):
    registry.image("v1")
    layer = json.loads(registry.manifests["v1"][0])["layers"][0]["digest"]
    registry.fails[layer] = [failure]
    with pytest.raises(RegistryError):
        await pulled(store, registry, "a:v1")
    assert registry.fails[layer] == [] and store.tags() == {}


async def test_a_token_that_has_ended_is_fetched_anew(store, registry):
    registry.image("v1")
    registry.challenge, registry.token_uses = 'Bearer realm="{url}/token",service="x"', 2
    found = await pulled(store, registry, "a:v1")
    assert store.exists(found.image_id)
    assert sum(each[1].startswith("/token") for each in registry.seen) > 1


# -- who we are


async def test_token_is_fetched_for_the_repository_and_used(store, registry):
    registry.image("v1")
    registry.challenge = 'Bearer realm="{url}/token",service="a registry"'
    await pulled(store, registry, "a/b:v1", credentials=Credentials("me", "secret"))
    asked = next(each for each in registry.seen if each[1].startswith("/token"))
    assert "scope=repository:a/b:pull" in asked[1]
    assert asked[2] == Credentials("me", "secret").basic
    assert {each[2] for each in registry.seen if "/manifests/" in each[1] or "/blobs/" in each[1]} == {
        f"Bearer {TOKEN}"
    }


async def test_name_and_password_where_the_registry_asks_for_them(store, registry):
    registry.image("v1")
    registry.challenge = 'Basic realm="x"'
    with pytest.raises(RegistryError, match="no basic auth credentials"):
        await pulled(store, registry, "a:v1")
    await pulled(store, registry, "a:v1", credentials=Credentials("me", "secret"))


async def test_no_secret_goes_to_a_token_server_without_tls(store, registry):
    registry.challenge = 'Bearer realm="http://elsewhere.example/token",service="x"'
    with pytest.raises(RegistryError, match="which is not https"):
        await pulled(store, registry, "a:v1", credentials=Credentials("me", "secret"))


async def test_no_secret_goes_to_where_blobs_are_redirected(store, registry):
    registry.image("v1")
    registry.challenge = 'Basic realm="x"'
    async with FakeRegistry() as storage:
        storage.blobs, registry.elsewhere = registry.blobs, f"http://{storage.host}"
        await pulled(store, registry, "a:v1", credentials=Credentials("me", "secret"))
        assert storage.seen
        assert {each[2] for each in storage.seen} == {""}


def test_challenge():
    found = Challenge.parse('Bearer realm="https://auth.docker.io/token",service="registry.docker.io"')
    assert found.scheme == "bearer"
    assert found.parameters == {"realm": "https://auth.docker.io/token", "service": "registry.docker.io"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJwIn0", Credentials("me", "p")),
        ("eyJ1c2VybmFtZSI6Im1lIiwicGFzc3dvcmQiOiJwIn0=", Credentials("me", "p")),
        ("e30=", Credentials()),
        ("", Credentials()),
        ("no base64!", Credentials()),
        ("W10=", Credentials()),
    ],
)
def test_credentials_of_the_header(header, expected):
    assert Credentials.from_header(header) == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("arm64", "linux/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/x86_64", "linux/amd64"),
    ],
)
def test_platforms(text, shown):
    assert str(Platform.parse(text)) == shown
