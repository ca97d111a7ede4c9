"""The node's own object: registered once, and its status told whenever it changes.

Upstream: pkg/kubelet/kubelet_node_status.go and pkg/kubelet/nodestatus/setters.go. The status is worked out every
nodeStatusUpdateFrequency and written when it has changed or nodeStatusReportFrequency is over.
"""

from __future__ import annotations

import logging
from typing import Any

from kubelab.cluster.client import AlreadyExists, APIClient, APIError
from kubelab.cluster.events import timestamp
from kubelab.cluster.kubelet import machine
from kubelab.cluster.kubelet.alarm import Alarm
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.resources import NODES
from kubelab.images.store import ImageStore

log = logging.getLogger(__name__)

ENDPOINT = "kubelab.dev/kubelet-endpoint"  # host:port on the host, where the API server dials this kubelet
MAX_IMAGES = 50
RETRY_SECONDS = 0.2
HEALTHY = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    "Ready": ("True", "KubeletReady", "kubelet is posting ready status"),
}
TOLD = {  # the event of a condition that has become what it should be
    "MemoryPressure": "NodeHasSufficientMemory",
    "DiskPressure": "NodeHasNoDiskPressure",
    "PIDPressure": "NodeHasSufficientPID",
    "Ready": "NodeReady",
}


class NodeStatus:
    """`runtime_error` is why pods cannot run here now, "" while they can."""

    def __init__(self, node: Node, client: APIClient, images: ImageStore) -> None:
        self._config, self._recorder, self._folder, self._clock = node.config, node.recorder, node.folder, node.clock
        self._client, self._images = client, images
        self._alarm = Alarm(node.clock)
        self._conditions: dict[str, dict[str, Any]] = {}
        self._reported_at = 0.0
        self.runtime_error = ""
        self.endpoint: tuple[str, int] = ("", 0)  # where the kubelet's own server listens on the host
        self.node: dict[str, Any] = {}

    def allocatable(self) -> dict[str, str]:
        return machine.capacity(self._folder, self._config.maxPods)

    def report_soon(self) -> None:
        self._alarm.ring()

    async def register(self) -> None:
        """Make the Node, or bring the one that is there up to date. Tries until the API server answers."""
        while True:
            try:
                self.node = await self._register()
                await self._report()
                break
            except APIError as error:
                log.warning("node not registered, trying again: %s", error)
                await self._clock.sleep(RETRY_SECONDS)
        self._recorder.event(self._reference(), "Normal", "Starting", "Starting kubelet.")

    async def run(self) -> None:
        """Keep the status told, for ever."""
        while True:
            await self._alarm.wait(self._clock.monotonic() + self._config.nodeStatusUpdateFrequency)
            try:
                await self._report()
            except APIError as error:
                log.warning("node status not written: %s", error)

    async def _register(self) -> dict[str, Any]:
        node = self._initial_node()
        try:
            return await self._client.create(NODES, node)
        except AlreadyExists:
            metadata = {key: node["metadata"][key] for key in ("labels", "annotations")}
            patch = {"metadata": metadata}
            known = await self._client.patch(NODES, self._config.nodeName, patch, type="merge")
            return known

    def _initial_node(self) -> dict[str, Any]:
        name = self._config.nodeName
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": machine.operating_system(),
            "kubernetes.io/arch": machine.architecture(),
        }
        beta = {f"beta.{key}": labels[key] for key in ("kubernetes.io/os", "kubernetes.io/arch")}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {**beta, **labels},
                "annotations": {ENDPOINT: f"{self.endpoint[0]}:{self.endpoint[1]}"},
            },
            "spec": {"podCIDR": self._config.podCIDR, "podCIDRs": [self._config.podCIDR]},
        }

    async def read(self) -> dict[str, Any]:
        """The Node as the API has it now; kept in `node`."""
        self.node = await self._client.get(NODES, self._config.nodeName)
        return self.node

    async def _report(self) -> None:
        """Others write conditions as well (the node life-cycle controller, when it does not hear of us), so what the
        API has is read first, as upstream does."""
        known = (await self.read()).get("status", {})
        self._conditions = {c["type"]: c for c in known.get("conditions", [])}
        status = self._status()
        due = self._clock.monotonic() - self._reported_at >= self._config.nodeStatusReportFrequency
        if due or _comparable(status) != _comparable({key: known.get(key) for key in status}):
            await self._client.patch(NODES, self._config.nodeName, {"status": status}, subresource="status")
            self._reported_at = self._clock.monotonic()

    def _status(self) -> dict[str, Any]:
        capacity = self.allocatable()
        return {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": self._current_conditions(),
            "addresses": [
                {"type": "InternalIP", "address": self._config.node_ip},
                {"type": "Hostname", "address": self._config.nodeName},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self.endpoint[1]}},
            "nodeInfo": machine.node_info(),
            "images": self._image_list(),
        }

    def _current_conditions(self) -> list[dict[str, Any]]:
        now = timestamp(self._clock.now())
        wanted = dict(HEALTHY)
        if self.runtime_error:
            wanted["Ready"] = ("False", "KubeletNotReady", f"container runtime is down: {self.runtime_error}")
        for kind, (status, reason, message) in wanted.items():
            known = self._conditions.get(kind)
            changed = known is None or known["status"] != status
            if changed:
                word = TOLD[kind] if (status, reason, message) == HEALTHY[kind] else "NodeNotReady"
                told = f"Node {self._config.nodeName} status is now: {word}"
                self._recorder.event(self._reference(), "Normal", word, told)
            self._conditions[kind] = {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now if changed else known["lastTransitionTime"],
            }
        return [self._conditions[kind] for kind in wanted]

    def _image_list(self) -> list[dict[str, Any]]:
        """The images with a name, the largest first, as many as upstream reports."""
        names: dict[str, list[str]] = {}
        for name, image_id in self._images.tags().items():
            names.setdefault(image_id, []).append(name)
        images = [{"names": sorted(n), "sizeBytes": self._images.get_image(i).size} for i, n in names.items()]
        return sorted(images, key=lambda image: image["sizeBytes"], reverse=True)[:MAX_IMAGES]

    def _reference(self) -> dict[str, Any]:
        """For events: upstream names a node by its name in place of its UID."""
        name = self._config.nodeName
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}


def _comparable(status: dict[str, Any]) -> dict[str, Any]:
    """Our conditions by type and without heartbeats; what is empty may as well be absent."""
    own = [c for c in status.get("conditions") or [] if c["type"] in HEALTHY]
    conditions = {c["type"]: {k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in own}
    return {key: value for key, value in {**status, "conditions": conditions}.items() if value}
