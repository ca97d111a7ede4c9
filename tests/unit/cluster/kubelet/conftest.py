"""A whole kubelet over an API server and a runtime in memory, on a clock that tests move."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kubelab.clock import VirtualClock, settle
from kubelab.cluster.informer import Informer
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.kubelet import Kubelet
from kubelab.cluster.resources import NODES, PODS, SERVICES
from kubelab.images.store import ImageStore

from .builders import deleting
from .fakes import FakeAPI, FakePuller, FakeRuntime

SETTINGS = {
    "nodeName": "node-1",
    "podCIDR": "10.244.1.0/24",
    "address": "172.31.0.11/24",
    "hostAddress": "127.7.0.11",
    "serverToken": "token",
}


class Node:
    """The kubelet of node-1 and what is around it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.api = folder, VirtualClock(), FakeAPI()
        self.runtime = FakeRuntime(self.clock)
        self.images = ImageStore(folder / "images")
        self.kubelet: Kubelet | None = None

    def add_image(self, name: str = "kubelab/python", **config: Any) -> str:
        """An image without files."""
        data = io.BytesIO()
        tarfile.open(fileobj=data, mode="w").close()
        data.seek(0)
        layer = self.images.register_layer(data)
        whole = {"config": config, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]}}
        image_id = self.images.put_image(whole)
        self.images.tag(image_id, name)
        return image_id

    async def start(self, **settings: Any) -> None:
        config = KubeletConfiguration.from_dict({**SETTINGS, **settings})
        self.services = Informer(self.api, SERVICES, clock=self.clock)  # type: ignore[arg-type]
        await self.services.start()
        made = (self.api, self.runtime, self.images, self.services, self.folder / "node-1", self.clock)
        self.kubelet = Kubelet(config, *made, FakePuller(self.images))  # type: ignore[arg-type]
        await self.kubelet.start(("127.0.0.1", 10250))
        await self.settle()

    async def stop(self) -> None:
        if self.kubelet is not None:
            await self.kubelet.stop()
            await self.services.stop()
            self.kubelet = None

    async def settle(self) -> None:
        await settle(400)

    async def advance(self, seconds: float) -> None:
        """Move time on in small steps, so that what wakes up is done before time moves on."""
        whole, rest = divmod(seconds, 0.5)
        for step in [0.5] * int(whole) + [rest]:
            await self.clock.advance(step)
            await self.settle()

    async def create(self, pod: dict[str, Any]) -> None:
        self.api.put(PODS, pod)
        await self.settle()

    async def delete(self, grace: int = 30) -> None:
        """What the API server does with `kubectl delete`: it marks the pod."""
        self.api.put(PODS, deleting(self.pod, grace))
        await self.settle()

    @property
    def pod(self) -> dict[str, Any]:
        found = self.api.find(PODS, "ns", "p")
        assert found is not None, "the pod is gone from the API"
        return found

    @property
    def gone(self) -> bool:
        return self.api.find(PODS, "ns", "p") is None

    @property
    def status(self) -> dict[str, Any]:
        return self.pod["status"]

    def container(self, name: str = "app") -> dict[str, Any]:
        everything = [*self.status.get("containerStatuses", []), *self.status.get("initContainerStatuses", [])]
        return next(s for s in everything if s["name"] == name)

    def condition(self, kind: str) -> dict[str, Any]:
        return next(c for c in self.status["conditions"] if c["type"] == kind)

    def messages(self, reason: str) -> list[str]:
        return [event["message"] for event in self.api.events(reason)]

    @property
    def node(self) -> dict[str, Any]:
        found = self.api.find(NODES, "", "node-1")
        assert found is not None
        return found


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    made = Node(tmp_path)
    made.add_image()
    await made.start()
    yield made
    await made.stop()
