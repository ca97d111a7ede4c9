"""A namespace of its own for each test, on the running engines."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import eventually
from kubelab.cluster.client import APIClient, NotFound
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.resources import EVENTS, NAMESPACES, NODES, PODS
from kubelab.home import Home

Object = dict[str, Any]


class Bench:
    """Pods in one namespace, and what becomes of them."""

    def __init__(self, client: APIClient, namespace: str, home: Home) -> None:
        self.client, self.namespace, self.home = client, namespace, home

    async def create(self, name: str, *containers: Object, **spec: Any) -> None:
        metadata = {"name": name, "namespace": self.namespace, "labels": {"app": name}}
        spec = {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
        await self.client.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    async def pod(self, name: str) -> Object:
        return await self.client.get(PODS, name, self.namespace)

    async def status(self, name: str, container: str = "app") -> Object:
        """One container's status."""
        status = (await self.pod(name))["status"]
        told = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
        return podutil.find_status(told, container) or {}

    async def ready(self, name: str) -> Object:
        async def is_ready() -> Object | None:
            pod = await self.pod(name)
            conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", [])}
            return pod if conditions.get("Ready") == "True" else None

        return await eventually(is_ready, f"pod {name} is ready", 20)

    async def phase(self, name: str, phase: str) -> Object:
        async def has_come() -> Object | None:
            pod = await self.pod(name)
            return pod if pod["status"]["phase"] == phase else None

        return await eventually(has_come, f"pod {name} is {phase}", 20)

    async def gone(self, name: str, seconds: float = 20) -> None:
        async def is_gone() -> bool:
            try:
                await self.pod(name)
            except NotFound:
                return True
            return False

        await eventually(is_gone, f"pod {name} is gone", seconds)

    async def delete(self, name: str, **options: Any) -> None:
        await self.client.delete(PODS, name, self.namespace, **options)

    async def event(self, name: str, reason: str, text: str = "") -> str:
        """The message of an event about the pod, once there is one."""

        async def is_told() -> str | None:
            selector = f"involvedObject.name={name},reason={reason}"
            events = (await self.client.list(EVENTS, self.namespace, field_selector=selector))["items"]
            return next((e["message"] for e in events if text in e["message"]), None)

        return await eventually(is_told, f"event {reason} {text} of pod {name}", 20)

    def log(self, pod: Object, container: str = "app", attempt: int = 0) -> str:
        """What a container has written, as its log file has it."""
        folder = f"{self.namespace}_{pod['metadata']['name']}_{pod['metadata']['uid']}"
        path = self.home.node(pod["spec"]["nodeName"]) / "pods" / folder / container / f"{attempt}.log"
        return "".join(line.split(" ", 3)[3] + "\n" for line in path.read_text().splitlines())

    async def output(self, name: str) -> str:
        """Everything that a pod which ends has written."""
        return self.log(await self.phase(name, "Succeeded"))


def python(code: str, name: str = "app", **fields: Any) -> Object:
    """A container that runs a Python program."""
    return {"name": name, "image": "kubelab/python", "command": ["python3", "-uc", code], **fields}


def shell(script: str, name: str = "app", **fields: Any) -> Object:
    return {"name": name, "image": "kubelab/python", "command": ["sh", "-c", script], **fields}


@pytest.fixture
async def bench(engines: Home) -> AsyncIterator[Bench]:
    namespace = f"kubelet-{uuid.uuid4().hex[:8]}"
    async with APIClient.from_kubeconfig(engines.kubeconfig) as client:
        await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        await _nodes_ready(client)
        yield Bench(client, namespace, engines)
        await client.delete(NAMESPACES, namespace)


async def _nodes_ready(client: APIClient) -> None:
    async def all_ready() -> bool:
        nodes = (await client.list(NODES))["items"]
        return all({c["type"]: c["status"] for c in n["status"]["conditions"]}["Ready"] == "True" for n in nodes)

    await eventually(all_ready, "all nodes are ready", 20)
