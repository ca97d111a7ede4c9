"""Carry a preemption out: mark the victims, delete them, tell of it; the pod is nominated for the node.

Upstream: prepareCandidate in pkg/scheduler/framework/preemption. It runs beside the scheduling of other pods.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, NotFound
from kubelab.cluster.resources import PODS
from kubelab.cluster.scheduler.preemption import BY_SCHEDULER, Preemption
from kubelab.cluster.scheduler.recorder import SchedulerEvents
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

Object = dict[str, Any]


class VictimRemover:
    def __init__(self, client: APIClient, recorder: SchedulerEvents, clock: Clock) -> None:
        self._client, self._recorder, self._clock = client, recorder, clock

    async def remove(self, preemptor: PodInfo, preemption: Preemption, outranked: list[PodInfo]) -> None:
        """Evict the victims, and take the nomination from less important pods that waited for the same node."""
        pod, node = preemptor.pod, preemption.node
        await asyncio.gather(*(self._evict(pod, victim.pod, node) for victim in preemption.victims))
        for info in outranked:
            await self._patch_status(info.pod, {"nominatedNodeName": None})

    async def _evict(self, preemptor: Object, victim: Object, node: str) -> None:
        scheduler = preemptor["spec"].get("schedulerName") or "default-scheduler"
        target = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": BY_SCHEDULER,
            "message": f"{scheduler}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": timestamp(self._clock.now()),
        }
        metadata = victim["metadata"]
        if not await self._patch_status(victim, {"conditions": [target]}):
            return
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFound:
            return
        except APIError as error:
            log.info("victim %s/%s not deleted: %s", metadata["namespace"], metadata["name"], error)
            return
        message = f"Preempted by pod {preemptor['metadata']['uid']} on node {node}"
        self._recorder.tell(victim, "Normal", "Preempted", "Preempting", message, related=preemptor)

    async def _patch_status(self, pod: Object, status: Object) -> bool:
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            await self._client.patch(PODS, metadata["name"], patch, metadata["namespace"], subresource="status")
        except APIError as error:
            log.info("status of pod %s/%s not written: %s", metadata["namespace"], metadata["name"], error)
            return False
        return True
