"""Schedule one pod after another: filter, score, assume, and bind in the background.

Upstream: pkg/scheduler/schedule_one.go, eventhandlers.go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, NotFound
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.informer import Informers
from kubelab.cluster.pods import condition, is_terminal, is_terminating, node_name
from kubelab.cluster.resources import NODES, PODS
from kubelab.cluster.scheduler.cache import Cache
from kubelab.cluster.scheduler.diagnosis import fit_error
from kubelab.cluster.scheduler.filters import Rejection, first_rejection
from kubelab.cluster.scheduler.queue import SchedulingQueue, Waiting
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.scheduler.scores import best
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

Object = dict[str, Any]

NAME = "default-scheduler"


class Unschedulable(Exception):
    """No node can run the pod now; the message says why, node by node."""


class Scheduler:
    def __init__(
        self, client: APIClient, informers: Informers, clock: Clock, *, chance: random.Random | None = None
    ) -> None:
        self._client, self._clock = client, clock
        self._informers = informers
        self._recorder = EventRecorder(client, NAME, clock=clock)
        self._chance = chance or random.Random()
        self.cache, self.queue = Cache(), SchedulingQueue(clock)
        self._bindings: set[asyncio.Task[None]] = set()
        informers.of(PODS).add_handler(self._pod_set, self._pod_updated, self._pod_deleted)
        informers.of(NODES).add_handler(self._node_set, self._node_updated, self._node_deleted)

    async def run(self) -> None:
        """Schedule until cancelled; whoever runs this starts the informers."""
        await self._informers.synced()
        flushing = asyncio.create_task(self.queue.flush_forever(), name="scheduler/flush")
        try:
            while True:
                waiting = await self.queue.pop()
                await self._schedule_one(waiting)
                await asyncio.sleep(0)  # let the bindings and watches in between pods
        finally:
            flushing.cancel()
            self.queue.close()
            for binding in self._bindings:
                binding.cancel()
            await self._recorder.stop()

    # -- handlers

    def _pod_set(self, pod: Object) -> None:
        if node_name(pod):
            self.cache.set_pod(pod)
            self.queue.remove(pod["metadata"]["uid"])
            if is_terminal(pod):
                self.queue.move_all()
        elif _is_ours(pod):
            self.queue.add(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        uid = new["metadata"]["uid"]
        if old["metadata"]["uid"] != uid:
            self._pod_deleted(old)
        if node_name(new):
            self._pod_set(new)
        elif not _is_ours(new):
            self.queue.remove(uid)
        elif not self.cache.is_assumed(uid):
            self.queue.update(old, new)

    def _pod_deleted(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self.queue.remove(uid)
        self.cache.remove_pod(uid)
        self.queue.move_all()

    def _node_set(self, node: Object) -> None:
        self.cache.set_node(node)
        self.queue.move_all()

    def _node_updated(self, old: Object, new: Object) -> None:
        self.cache.set_node(new)
        if _node_changed(old, new):
            self.queue.move_all()

    def _node_deleted(self, node: Object) -> None:
        self.cache.remove_node(node["metadata"]["name"])

    # -- one pod

    async def _schedule_one(self, waiting: Waiting) -> None:
        info = PodInfo.of(waiting.pod)
        try:
            node = self.choose(info)
        except Unschedulable as error:
            await self._failed(waiting, "Unschedulable", str(error))
            return
        self.cache.assume(info, node)
        binding = asyncio.create_task(self._bind(waiting, node), name=f"bind/{waiting.pod['metadata']['name']}")
        self._bindings.add(binding)
        binding.add_done_callback(self._bindings.discard)

    def choose(self, info: PodInfo) -> str:
        """The name of the best node for the pod. Raises Unschedulable."""
        rejections: list[Rejection] = []
        feasible = []
        for node in self.cache.nodes():
            rejection = first_rejection(info, node)
            if rejection is None:
                feasible.append(node)
            else:
                rejections.append(rejection)
        if not feasible:
            raise Unschedulable(fit_error(rejections))
        chosen = feasible[0] if len(feasible) == 1 else self._chance.choice(best(info, feasible))
        return chosen.node["metadata"]["name"]

    async def _bind(self, waiting: Waiting, node: str) -> None:
        pod = waiting.pod
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": metadata,
            "target": {"kind": "Node", "name": node},
        }
        try:
            await self._client.create_subresource(PODS, metadata["name"], "binding", binding, metadata["namespace"])
        except NotFound:
            self.cache.forget(waiting.uid)
            self.queue.remove(waiting.uid)
        except APIError as error:
            self.cache.forget(waiting.uid)
            self.queue.move_all()
            await self._failed(waiting, "SchedulerError", f"binding rejected: {error}")
        else:
            full_name = f"{metadata['namespace']}/{metadata['name']}"
            self._recorder.event(pod, "Normal", "Scheduled", f"Successfully assigned {full_name} to {node}")

    async def _failed(self, waiting: Waiting, reason: str, message: str) -> None:
        self.queue.failed(waiting)
        self._recorder.event(waiting.pod, "Warning", "FailedScheduling", message)
        existing = condition(waiting.pod, "PodScheduled") or {}
        if (existing.get("status"), existing.get("reason"), existing.get("message")) == ("False", reason, message):
            return
        changed = existing["lastTransitionTime"] if existing.get("status") == "False" else timestamp(self._clock.now())
        new = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": changed,
        }
        metadata = waiting.pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [new]}}
        try:
            await self._client.patch(PODS, metadata["name"], patch, metadata["namespace"], subresource="status")
        except APIError as error:
            log.info("condition of pod %s/%s not written: %s", metadata["namespace"], metadata["name"], error)


def _is_ours(pod: Object) -> bool:
    """Waits for this scheduler: no node yet, not finished, not leaving, and not held back by a gate."""
    spec = pod["spec"]
    return (
        (spec.get("schedulerName") or NAME) == NAME
        and not spec.get("schedulingGates")
        and not is_terminal(pod)
        and not is_terminating(pod)
    )


def _node_changed(old: Object, new: Object) -> bool:
    """A change that may let a pod in; heartbeats are none."""
    return (
        old["spec"] != new["spec"]
        or old["metadata"].get("labels") != new["metadata"].get("labels")
        or old.get("status", {}).get("allocatable") != new.get("status", {}).get("allocatable")
    )
