"""Pulls as the kubelet makes them (upstream: image_manager_test.go, keyring_test.go)."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.kubelet.image_puller import ImagePuller, PullError
from kubelab.cluster.kubelet.images import LOOK_AGAIN_SECONDS, ImageManager
from kubelab.cluster.kubelet.keyring import credentials_for
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.images.reference import parse
from kubelab.images.registry.auth import Credentials
from kubelab.images.store import ImageStore
from unit.images.registry.fake import FakeRegistry

from .builders import make_container, make_pod


def secret(auths: dict[str, Any], kind: str = "kubernetes.io/dockerconfigjson") -> dict[str, Any]:
    config = auths if kind.endswith("dockercfg") else {"auths": auths}
    key = ".dockercfg" if kind.endswith("dockercfg") else ".dockerconfigjson"
    return {"type": kind, "data": {key: base64.b64encode(json.dumps(config).encode()).decode()}}


BOB = {"auth": base64.b64encode(b"bob:secret").decode()}
ANN = {"username": "ann", "password": "pass"}


@pytest.mark.parametrize(
    ("image", "auths", "names"),
    [
        ("reg.io/a/b", {"reg.io": BOB}, ["bob"]),
        ("reg.io/a/b", {"https://reg.io/v2/": BOB}, ["bob"]),
        ("reg.io/a/b", {"reg.io": BOB, "reg.io/a": ANN}, ["ann", "bob"]),
        ("reg.io/c/b", {"reg.io": BOB, "reg.io/a": ANN}, ["bob"]),
        ("x.reg.io/a", {"*.reg.io": BOB}, ["bob"]),
        ("x.y.reg.io/a", {"*.reg.io": BOB}, []),
        ("reg.io:5000/a", {"reg.io": BOB}, []),
        ("busybox", {"https://index.docker.io/v1/": BOB}, ["bob"]),
        ("busybox", {"reg.io": BOB}, []),
    ],
)
def test_credentials(image: str, auths: dict, names: list[str]) -> None:
    assert [c.username for c in credentials_for(parse(image), [secret(auths)])] == names


def test_secrets_of_other_types_and_broken_ones_give_nothing() -> None:
    assert credentials_for(parse("reg.io/a"), [secret({"reg.io": ANN}, "kubernetes.io/dockercfg")]) == [
        Credentials("ann", "pass")
    ]
    broken = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30"}}
    assert credentials_for(parse("reg.io/a"), [broken, {"type": "Opaque", "data": {}}]) == []


class Objects:
    def __init__(self, **secrets: dict[str, Any]) -> None:
        self._secrets = secrets

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self._secrets.get(name)


class Told(list[tuple[str, str, str]]):
    def __call__(self, kind: str, reason: str, message: str) -> None:
        self.append((kind, reason, message))

    @property
    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self]


def manager(folder: Path, puller: Any = None, **secrets: Any) -> tuple[ImageManager, ImageStore, VirtualClock]:
    store, clock = ImageStore(folder), VirtualClock()
    return ImageManager(store, puller or ImagePuller(store), Objects(**secrets), clock), store, clock  # type: ignore[arg-type]


async def test_an_image_comes_from_its_registry(tmp_path: Path) -> None:
    images, store, _ = manager(tmp_path)
    told = Told()
    async with FakeRegistry() as registry:
        digest = registry.image("1")
        container = make_container(image=f"{registry.host}/shop:1")
        image = await images.ensure(make_pod(), container, told)
        assert images.reference(image, f"{registry.host}/shop:1") == f"{registry.host}/shop@{digest}"
        store.tag(image.id, f"a.example/first@{digest}")
        assert images.reference(image, f"{registry.host}/shop:1") == f"{registry.host}/shop@{digest}"
        assert images.reference(image, "a.example/first:2") == f"a.example/first@{digest}"
        host, requests = registry.host, len(registry.seen)
        await images.ensure(make_pod(), container, told)
        assert len(registry.seen) == requests  # IfNotPresent asks no registry again
        await images.ensure(make_pod(), {**container, "imagePullPolicy": "Always"}, told)
        assert len(registry.seen) > requests
    assert told.reasons == ["Pulling", "Pulled", "Pulled", "Pulling", "Pulled"]
    assert told[1][2].startswith(f'Successfully pulled image "{host}/shop:1" in ')
    assert told[1][2].endswith(f" including waiting). Image size: {image.size} bytes.")


async def test_a_pull_secret_opens_the_registry(tmp_path: Path) -> None:
    async with FakeRegistry() as registry:
        registry.image("1")
        registry.challenge = 'Basic realm="shop"'
        images, _, _ = manager(tmp_path, pull=secret({registry.host: ANN}))
        container, told = make_container(image=f"{registry.host}/shop:1"), Told()
        with pytest.raises(StartError, match="no basic auth credentials"):
            await images.ensure(make_pod(), container, told)
        other = make_pod(imagePullSecrets=[{"name": "pull"}, {"name": "gone"}])
        other["metadata"]["uid"] = "uid-2"
        await images.ensure(other, container, told)
    assert "FailedToRetrieveImagePullSecret" in told.reasons
    message = "Unable to retrieve some image pull secrets (gone); attempting to pull the image may not succeed."
    assert ("Warning", "FailedToRetrieveImagePullSecret", message) in told


async def test_an_image_that_is_not_there(tmp_path: Path) -> None:
    images, _, _ = manager(tmp_path)
    async with FakeRegistry() as registry:
        name = f"{registry.host}/shop:none"
        with pytest.raises(StartError) as failed:
            await images.ensure(make_pod(), make_container(image=name), Told())
    said = f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found'
    assert (failed.value.reason, failed.value.message) == (
        "ErrImagePull",
        f"rpc error: code = NotFound desc = {said}",
    )


async def test_back_off_doubles_from_ten_seconds_to_five_minutes(tmp_path: Path) -> None:
    class Nobody:
        async def pull(self, *_: Any) -> Any:
            raise PullError("no")

    images, _, clock = manager(tmp_path, Nobody())
    waits, told = [], Told()
    for _ in range(7):
        with pytest.raises(StartError) as failed:
            await images.ensure(make_pod(), make_container(image="shop:2"), told)
        assert failed.value.retry_after == LOOK_AGAIN_SECONDS  # when ImagePullBackOff is told
        with pytest.raises(StartError) as failed:
            await images.ensure(make_pod(), make_container(image="shop:2"), told)
        assert (failed.value.reason, failed.value.message) == (
            "ImagePullBackOff",
            'Back-off pulling image "shop:2": ErrImagePull: no',
        )
        waits.append(failed.value.retry_after)
        await clock.advance(waits[-1] or 0)
    assert waits == [10, 20, 40, 80, 160, 300, 300]


async def test_an_image_that_was_made_here_has_no_registry(tmp_path: Path) -> None:
    async with FakeRegistry() as registry:
        images, store, _ = manager(tmp_path)
        registry.image("1")
        image = await images.ensure(make_pod(), make_container(image=f"{registry.host}/shop:1"), Told())
    store.tag(image.id, "shop:latest")  # as `docker build -t shop` does
    told = Told()
    await images.ensure(make_pod(), make_container(image="shop", imagePullPolicy="Always"), told)
    assert told.reasons == ["Pulling", "Pulled"]


async def test_pulls_go_one_after_another(tmp_path: Path) -> None:
    at_once: list[int] = []

    class Slow:
        running = 0

        async def pull(self, *_: Any) -> Any:
            Slow.running += 1
            at_once.append(Slow.running)
            await asyncio.sleep(0)
            Slow.running -= 1
            raise PullError("no")

    images, _, _ = manager(tmp_path, Slow())
    pulls = (images.ensure(make_pod(), make_container(image=f"shop:{n}"), Told()) for n in range(5))
    await asyncio.gather(*pulls, return_exceptions=True)
    assert at_once == [1] * 5


async def test_a_pod_that_ends_waits_for_no_image(tmp_path: Path) -> None:
    class Never:
        async def pull(self, *_: Any) -> Any:
            await asyncio.Event().wait()

    images, _, _ = manager(tmp_path, Never())
    pulling = asyncio.ensure_future(images.ensure(make_pod(), make_container(image="shop:2"), Told()))
    for _ in range(10):
        await asyncio.sleep(0)
    images.abort("uid-1")
    with pytest.raises(StartError, match="context canceled"):
        await pulling
