"""Pulling from registries of every kind, and from those that are wrong."""

from __future__ import annotations

import json

import pytest

from kubelab.images.registry import Registry, RegistryError, compression, pull
from kubelab.images.registry.auth import Challenge, Credentials
from kubelab.images.registry.manifests import MANIFEST_LIST, OCI_INDEX, InvalidManifest, Platform
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


async def pulled(store, registry, name, platform=AMD, credentials=None):
    reference = registry.reference(name)
    async with Registry(reference, credentials) as client:
        return await pull(store, client, reference, platform)


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
    with pytest.raises(InvalidManifest, match="config lists 0 layers, its manifest 1"):
        await pulled(store, registry, "a:v2")


async def test_image_of_another_system(store, registry):
    registry.image("v1", os="windows")
    with pytest.raises(InvalidManifest, match='operating system "windows" cannot be used'):
        await pulled(store, registry, "a:v1")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"schemaVersion": 1}, "manifest schema 1 is not supported"),
        ({"schemaVersion": 2}, "it lists no layers"),
        ([], "a JSON object is expected"),
        ({"schemaVersion": 2, "layers": [], "config": {"digest": "sha256:zz", "size": 1}}, "is no descriptor"),
        (
            {
                "schemaVersion": 2,
                "layers": [],
                "config": {"mediaType": "x/y", "digest": "sha256:" + "0" * 64, "size": 1},
            },
            'unsupported media type "x/y"',
        ),
    ],
)
async def test_manifests_that_are_none(store, registry, manifest, message):
    registry.put("v1", manifest, "application/json")
    with pytest.raises(InvalidManifest, match=message):
        await pulled(store, registry, "a:v1")


async def test_zstd_is_read_where_python_can(store, registry):
    registry.image("v1", compress=lambda tar: compression.ZSTD + tar)
    with pytest.raises((InvalidManifest, OSError)):
        await pulled(store, registry, "a:v1")
    with pytest.raises(ImageNotFound):
        store.resolve(f"{registry.host}/a:v1")


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
