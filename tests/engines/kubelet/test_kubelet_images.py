"""Images from a registry on the loopback (upstream: test/e2e/common/node/runtime.go)."""

from __future__ import annotations

import uuid

import pytest

from engines.cluster.lab import eventually
from engines.engine.test_registry import registry  # noqa: F401 - a fixture
from kubelab.images.reference import Reference, parse
from kubelab.images.registry import Registry, push
from kubelab.images.registry.progress import nobody
from kubelab.images.store import ImageStore

from .conftest import Bench, shell

pytestmark = [pytest.mark.requires("docker-registry")]


async def pushed(bench: Bench, host: str) -> Reference:
    """The base image under a name that only the registry knows."""
    reference = parse(f"{host}/lab/{uuid.uuid4().hex[:8]}:1")
    store = ImageStore(bench.home.images)
    image = store.resolve("kubelab/python")
    async with Registry(reference, actions="pull,push") as target:
        await push(store, target, reference, image, nobody)
    for name in [n for n in store.tags() if parse(n).path == reference.path]:
        store.untag(name)
    return reference


async def test_should_be_able_to_pull_image(bench: Bench, registry: str) -> None:  # noqa: F811
    reference = await pushed(bench, registry)
    await bench.create("p", {**shell("echo pulled"), "image": str(reference)}, restartPolicy="Never")
    assert await bench.output("p") == "pulled\n"
    message = await bench.event("p", "Pulled")
    assert message.startswith(f'Successfully pulled image "{reference}" in ') and " Image size: " in message
    status = await bench.status("p")
    assert status["imageID"].startswith(f"{registry}/{reference.path}@sha256:")


async def test_should_not_be_able_to_pull_image_that_is_not_there(bench: Bench, registry: str) -> None:  # noqa: F811
    await bench.create("p", {**shell("true"), "image": f"{registry}/lab/none:1"})

    async def waits() -> str:
        waiting = (await bench.status("p")).get("state", {}).get("waiting", {})
        return waiting.get("message", "") if waiting.get("reason") == "ImagePullBackOff" else ""

    message = await eventually(waits, "ImagePullBackOff", 40)
    name = f"{registry}/lab/none:1"
    assert message.startswith(f'Back-off pulling image "{name}": ErrImagePull: rpc error: code = NotFound')
    assert "Error: ErrImagePull" in await bench.event("p", "Failed", "ErrImagePull")


async def test_image_pull_policy_never(bench: Bench) -> None:
    await bench.create("p", {**shell("true"), "image": "never/here:1", "imagePullPolicy": "Never"})
    message = 'Container image "never/here:1" is not present with pull policy of Never'
    assert await bench.event("p", "ErrImageNeverPull") == message
