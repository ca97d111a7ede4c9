"""Remove pods that nobody else will: of nodes that are gone, deleted before they had a node, finished ones beyond a
limit.

Upstream: pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

import asyncio
import logging

from kubelab.cluster.client import APIError, NotFound
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.pods import is_ready, is_terminal, is_terminating, node_name
from kubelab.cluster.resources import NODES, PODS
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

PERIOD = 20.0  # seconds
QUARANTINE = 40.0  # seconds that a node has to be unknown before its pods are touched
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


class PodGarbageCollector:
    name = "pod-garbage-collector-controller"

    def __init__(self, context: Context) -> None:
        self.client, self.clock = context.client, context.clock
        self.threshold = context.config.terminated_pod_gc_threshold
        self.informers = context.informers
        self.pods, self.nodes = context.informers.of(PODS), context.informers.of(NODES)
        self._missing: dict[str, float] = {}  # node: since when (monotonic)

    async def run(self) -> None:
        """Look every twenty seconds, until cancelled."""
        await self.informers.synced()
        while True:
            await self.collect()
            await self.clock.sleep(PERIOD)

    async def collect(self) -> None:
        """One round."""
        pods = self.pods.list()
        doomed = [
            *((pod, None) for pod in self._surplus_finished(pods)),
            *((pod, None) for pod in pods if is_terminating(pod) and not node_name(pod)),
            *((pod, None) for pod in pods if is_terminating(pod) and self._out_of_service(pod)),
            *((pod, "PodGC: node no longer exists") for pod in await self._orphaned(pods)),
        ]
        await asyncio.gather(*(self._remove(pod, message) for pod, message in doomed))

    def _surplus_finished(self, pods: list[Object]) -> list[Object]:
        """The oldest of the finished pods beyond the threshold."""
        finished = [pod for pod in pods if is_terminal(pod) and not is_terminating(pod)]
        surplus = len(finished) - self.threshold if self.threshold > 0 else 0
        finished.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        return finished[: max(surplus, 0)]

    def _out_of_service(self, pod: Object) -> bool:
        """Its node is not ready, and will not be again, an administrator says."""
        node = self.nodes.get(None, node_name(pod))
        if node is None or is_ready(node):
            return False
        return any(t["key"] == OUT_OF_SERVICE for t in node["spec"].get("taints") or ())

    async def _orphaned(self, pods: list[Object]) -> list[Object]:
        """Pods of nodes that have been missing for the whole quarantine, and that the API does not know either."""
        now = self.clock.monotonic()
        missing = {node_name(p) for p in pods if node_name(p) and self.nodes.get(None, node_name(p)) is None}
        self._missing = {name: self._missing.get(name, now) for name in missing}
        gone = {
            name for name, since in self._missing.items() if now - since >= QUARANTINE and await self._is_gone(name)
        }
        return [pod for pod in pods if node_name(pod) in gone]

    async def _is_gone(self, name: str) -> bool:
        try:
            await self.client.get(NODES, name)
        except NotFound:
            return True
        return False

    async def _remove(self, pod: Object, disruption: str | None) -> None:
        """Mark it Failed where it had not finished, and delete it without grace."""
        metadata = pod["metadata"]
        name, namespace = metadata["name"], metadata["namespace"]
        try:
            if not is_terminal(pod):
                await self.client.patch(PODS, name, self._failed(disruption), namespace, subresource="status")
            await self.client.delete(PODS, name, namespace, grace_period_seconds=0, uid=metadata["uid"])
        except NotFound:
            return
        except APIError as error:
            log.info("pod %s/%s not removed: %s", namespace, name, error)

    def _failed(self, message: str | None) -> Object:
        if message is None:
            return {"status": {"phase": "Failed"}}
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": message,
            "lastTransitionTime": timestamp(self.clock.now()),
        }
        return {"status": {"phase": "Failed", "conditions": [condition]}}
