"""Schedule one pod after another: filter, score, assume, and bind in the background; or say why not, and make room.

Upstream: pkg/scheduler/schedule_one.go, eventhandlers.go.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, NotFound
from kubelab.cluster.informer import Informers
from kubelab.cluster.pods import condition, is_terminal, is_terminating, node_name
from kubelab.cluster.resources import NODES, PODS
from kubelab.cluster.scheduler.cache import Cache
from kubelab.cluster.scheduler.diagnosis import fit_error
from kubelab.cluster.scheduler.filtering import Rejections, feasible_nodes
from kubelab.cluster.scheduler.framework import Change, Cycle
from kubelab.cluster.scheduler.listers import Listers
from kubelab.cluster.scheduler.nominator import Nominator
from kubelab.cluster.scheduler.plugins import BY_NAME
from kubelab.cluster.scheduler.preemption import Preemption, preempt
from kubelab.cluster.scheduler.queue import SchedulingQueue, Waiting
from kubelab.cluster.scheduler.recorder import SchedulerEvents
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.scheduler.scoring import best
from kubelab.cluster.scheduler.victims import VictimRemover
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

Object = dict[str, Any]

NAME = "default-scheduler"


class Unschedulable(Exception):
    """No node can run the pod now; `rejections` says why, node by node."""

    def __init__(self, rejections: Rejections) -> None:
        super().__init__(fit_error(rejections))
        self.rejections = rejections


class Scheduler:
    def __init__(
        self, client: APIClient, informers: Informers, clock: Clock, *, chance: random.Random | None = None
    ) -> None:
        self._client, self._clock = client, clock
        self._informers, self._listers = informers, Listers(informers)
        self._recorder = SchedulerEvents(client, NAME, clock=clock)
        self._chance = chance or random.Random()
        self.cache, self.queue, self.nominator = Cache(), SchedulingQueue(clock, self._may_help), Nominator()
        self._victims = VictimRemover(client, self._recorder, clock)
        self._background: set[asyncio.Task[None]] = set()  # bindings and evictions
        informers.of(PODS).add_handler(self._pod_set, self._pod_updated, self._pod_deleted)
        informers.of(NODES).add_handler(lambda node: self._node_set(None, node), self._node_set, self._node_deleted)

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
            for task in self._background:
                task.cancel()
            await self._recorder.stop()

    # -- handlers

    def _pod_set(self, pod: Object, old: Object | None = None) -> None:
        if node_name(pod):
            self.cache.set_pod(pod)
            self._leave(pod["metadata"]["uid"])
            self._assigned(old, pod)
        elif _is_ours(pod):
            self.nominator.update(pod)
            self.queue.add(pod)

    def _assigned(self, old: Object | None, pod: Object) -> None:
        """A pod is on a node: tell those that wait, where that may matter to them."""
        before = old if old is not None and node_name(old) else None
        if is_terminal(pod):
            self.queue.happened(Change("pod", before or pod, None))
        elif before is None or _pod_changed(before, pod):
            self.queue.happened(Change("pod", before, pod))

    def _pod_updated(self, old: Object, new: Object) -> None:
        uid = new["metadata"]["uid"]
        if old["metadata"]["uid"] != uid:
            self._pod_deleted(old)
        if node_name(new):
            self._pod_set(new, old)
        elif not _is_ours(new):
            self._leave(uid)
        elif not self.cache.is_assumed(uid):
            self._nomination_changed(old, new)
            self.queue.update(old, new)

    def _pod_deleted(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        self._leave(uid)
        self.cache.remove_pod(uid)
        if node_name(pod):
            self.queue.happened(Change("pod", pod, None))

    def _leave(self, uid: str) -> None:
        self.queue.remove(uid)
        self.nominator.remove(uid)

    def _nomination_changed(self, old: Object, new: Object) -> None:
        if _nominated(new):
            self.nominator.update(new)
        elif _nominated(old):
            self.nominator.remove(new["metadata"]["uid"])

    def _node_set(self, old: Object | None, node: Object) -> None:
        self.cache.set_node(node)
        if old is None or _node_changed(old, node):
            self.queue.happened(Change("node", old, node))

    def _node_deleted(self, node: Object) -> None:
        self.cache.remove_node(node["metadata"]["name"])
        self.queue.happened(Change("node", node, None))

    def _may_help(self, waiting: Waiting, change: Change) -> bool:
        """Ask the rules that rejected the pod; nobody in particular did where there was no node at all."""
        info = PodInfo.of(waiting.pod)
        rules = [BY_NAME[name] for name in waiting.rejected_by]
        return not rules or any(rule.may_help(info, change, self._listers) for rule in rules)

    # -- one pod

    async def _schedule_one(self, waiting: Waiting) -> None:
        info = PodInfo.of(waiting.pod)
        cycle = Cycle(info, self.cache.nodes(), self._listers)
        try:
            node = self.choose(cycle)
        except Unschedulable as error:
            await self._find_room(waiting, cycle, error.rejections)
            return
        self.cache.assume(info, node)
        self._start(self._bind(waiting, node), f"bind/{waiting.pod['metadata']['name']}")

    def choose(self, cycle: Cycle) -> str:
        """The name of the best node for the pod. Raises Unschedulable."""
        feasible, rejections = feasible_nodes(cycle, self.nominator)
        if not feasible:
            raise Unschedulable(rejections)
        nominated = _nominated(cycle.pod.pod)
        if any(node.name == nominated for node in feasible):
            return nominated  # room was made for it there
        chosen = feasible[0] if len(feasible) == 1 else self._chance.choice(best(cycle, feasible))
        return chosen.name

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

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
            self._leave(waiting.uid)
        except APIError as error:
            self.cache.forget(waiting.uid)
            self.queue.happened(Change("pod", pod, None))
            self.queue.failed(waiting, error=True)
            await self._tell_failure(waiting, "SchedulerError", f"binding rejected: {error}")
        else:
            full_name = f"{metadata['namespace']}/{metadata['name']}"
            self._recorder.tell(pod, "Normal", "Scheduled", "Binding", f"Successfully assigned {full_name} to {node}")

    async def _find_room(self, waiting: Waiting, cycle: Cycle, rejections: Rejections) -> None:
        """No node fits: see whether less important pods may go, and wait."""
        result = preempt(cycle, rejections, self.nominator) if rejections else Preemption()
        if result.node:
            outranked = [i for i in self.nominator.on(result.node) if i.priority < cycle.pod.priority]
            self.nominator.nominate(cycle.pod, result.node)
            for info in outranked:
                self.nominator.remove(info.uid)
            self._start(self._victims.remove(cycle.pod, result, outranked), f"preempt/{waiting.uid}")
        elif result.gives_up:
            self.nominator.remove(waiting.uid)
        self.queue.failed(waiting, frozenset(rejection.plugin for rejection in rejections.values()))
        nominated = None if not result.node and not result.gives_up else result.node
        await self._tell_failure(waiting, "Unschedulable", fit_error(rejections, result.message), nominated)

    async def _tell_failure(self, waiting: Waiting, reason: str, message: str, nominated: str | None = None) -> None:
        """An Event and the condition PodScheduled; `nominated` is the node to note with it, None for no change."""
        self._recorder.tell(waiting.pod, "Warning", "FailedScheduling", "Scheduling", message)
        existing = condition(waiting.pod, "PodScheduled") or {}
        same = (existing.get("status"), existing.get("reason"), existing.get("message")) == ("False", reason, message)
        if same and (nominated is None or nominated == _nominated(waiting.pod)):
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
        status: Object = {"conditions": [new]}
        if nominated is not None and nominated != _nominated(waiting.pod):
            status["nominatedNodeName"] = nominated or None
        metadata = waiting.pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            await self._client.patch(PODS, metadata["name"], patch, metadata["namespace"], subresource="status")
        except APIError as error:
            log.info("condition of pod %s/%s not written: %s", metadata["namespace"], metadata["name"], error)


def _nominated(pod: Object) -> str:
    return (pod.get("status") or {}).get("nominatedNodeName") or ""


def _pod_changed(old: Object, new: Object) -> bool:
    """What others can see of a running pod: its labels, what it asks for, that it leaves."""
    parts = ("labels", "deletionTimestamp")
    return old["spec"] != new["spec"] or any(old["metadata"].get(part) != new["metadata"].get(part) for part in parts)


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
