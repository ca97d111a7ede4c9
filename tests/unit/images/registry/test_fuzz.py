"""Whatever a registry says, and whatever a client asks of ours: a clean answer, never half an image, never a hang."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
from pathlib import Path

import aiohttp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelab.images.registry import Registry, RegistryError, pull, retry
from kubelab.images.registry.manifests import InvalidManifest, Platform, parse
from kubelab.images.registry.server import RegistryServer
from kubelab.images.store import ImageStore
from kubelab.images.unpack import UnsafeArchive
from unit.images.registry.fake import FakeRegistry

CLEAN = (RegistryError, InvalidManifest, UnsafeArchive)
NO_HANG = 20  # seconds
relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "config.digest",
    "config.size",
    "config.mediaType",
]
LAYER_PLACES = ["digest", "size", "mediaType"]


@given(data=st.binary(max_size=300) | JSON.map(lambda found: json.dumps(found).encode()), kind=st.text(max_size=30))
def test_what_is_no_manifest_is_said_to_be_none(data, kind):
    with contextlib.suppress(InvalidManifest):
        parse(data, kind)


def changed(manifest: dict, place: str, value) -> dict:
    """`manifest` with something else in one place; "layer.NAME" is in its first layer."""
    found = json.loads(json.dumps(manifest))
    first, _, second = place.partition(".")
    inner = found["layers"][0] if first == "layer" else found[first] if second else found
    inner[second or first] = value
    return found


mutations = st.one_of(
    st.tuples(st.just("manifest"), st.sampled_from([*PLACES, *(f"layer.{each}" for each in LAYER_PLACES)]), JSON),
    st.tuples(st.just("cut"), st.sampled_from(["layer", "config"]), st.integers(0, 200)),
    st.tuples(st.just("flip"), st.sampled_from(["layer", "config"]), st.integers(0, 10_000)),
    st.tuples(st.just("config"), st.just(""), st.binary(max_size=100) | JSON.map(lambda it: json.dumps(it).encode())),
    st.tuples(st.just("status"), st.sampled_from(["layer", "config"]), st.sampled_from([301, 401, 404, 416, 429, 500])),
)


@relaxed
@given(mutation=mutations)
def test_a_pull_of_anything_is_whole_or_nothing(mutation):
    asyncio.run(asyncio.wait_for(_pull(*mutation), NO_HANG))


async def _pull(kind: str, place: str, value) -> None:
    before, retry.second = retry.second, lambda: asyncio.sleep(0)
    try:
        with tempfile.TemporaryDirectory() as folder:
            store = ImageStore(Path(folder))
            async with FakeRegistry() as registry:
                registry.image("v1")
                _spoil(registry, kind, place, value)
                reference = registry.reference("a:v1")
                try:
                    async with Registry(reference) as client:
                        pulled = await pull(store, client, reference, Platform("linux", "amd64"))
                except CLEAN:
                    assert (store.all(), store.tags()) == ([], {})
                else:
                    assert store.get_image(pulled.image_id).diff_ids is not None
                    assert all(path.is_dir() for path in store.lower_dirs(pulled.image_id))
            assert [name for name in os.listdir(folder) if name.startswith("tmp")] == []  # noqa: PTH208
    finally:
        retry.second = before


def _spoil(registry: FakeRegistry, kind: str, place: str, value) -> None:
    data, media_type = registry.manifests["v1"]
    manifest = json.loads(data)
    digests = {"layer": manifest["layers"][0]["digest"], "config": manifest["config"]["digest"]}
    if kind == "manifest":
        registry.put("v1", changed(manifest, place, value), media_type)
    elif kind == "cut":
        registry.blobs[digests[place]] = registry.blobs[digests[place]][:value]
    elif kind == "flip":
        blob = bytearray(registry.blobs[digests[place]])
        blob[value % len(blob)] ^= 0xFF
        registry.blobs[digests[place]] = bytes(blob)
    elif kind == "config":
        manifest["config"] |= {"digest": registry.blob(value), "size": len(value)}
        registry.put("v1", manifest, media_type)
    else:
        registry.fails[digests[place]] = [(value, "UNKNOWN")] * 10


# -- requests to our own

names = st.sampled_from(["a", "a/b", "UPPER", "..", "a/../b", "_x", "%00", "a" * 300]) | st.text(max_size=10)
tails = st.sampled_from(
    ["manifests/v1", "manifests/sha256:" + "0" * 64, "manifests/", "tags/list", "blobs/uploads/", "blobs/sha256:zz",
     "blobs/uploads/" + "0" * 32, "referrers/x", "referrers/sha256:" + "1" * 64, "blobs/uploads/..", ""]
)  # fmt: skip
PARAMETERS = ["digest", "mount", "from", "n", "last", "artifactType"]
requests = st.tuples(
    st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]),
    names,
    tails,
    st.dictionaries(
        st.sampled_from(["digest", "mount", "from", "n", "last", "artifactType"]), st.text(max_size=20), max_size=3
    ),
    st.dictionaries(
        st.sampled_from(["Content-Range", "Range", "Content-Type", "Accept"]),
        st.sampled_from(["", "0-", "bytes=0-", "bytes=-1", "5-1", "0-99999999999999999999", "application/json", "é"]),
        max_size=2,
    ),
    st.binary(max_size=200),
)


@relaxed
@given(wanted=st.lists(requests, min_size=1, max_size=8))
def test_any_request_is_answered_in_the_spec_s_words(wanted):
    asyncio.run(asyncio.wait_for(_ask(wanted), NO_HANG))


async def _ask(wanted: list) -> None:
    with tempfile.TemporaryDirectory() as folder:
        server = RegistryServer(Path(folder) / "registry", ImageStore(Path(folder) / "images"))
        base = f"http://127.0.0.1:{await server.start()}/v2/"
        try:
            async with aiohttp.ClientSession() as session:
                for method, name, tail, query, headers, body in wanted:
                    try:
                        request = session.request(
                            method, f"{base}{name}/{tail}", params=query, headers=headers, data=body
                        )
                        async with request as answer:
                            text = await answer.read()
                    except (ValueError, aiohttp.InvalidURL):  # the client itself will not send it
                        continue
                    assert answer.status < 500, (method, name, tail, query, headers, text)
                    if answer.status >= 400 and method != "HEAD" and text[:1] == b"{":
                        assert json.loads(text)["errors"][0]["code"]
        finally:
            await server.stop()
        assert set(os.listdir(folder)) == {"registry", "images"}  # noqa: PTH208
