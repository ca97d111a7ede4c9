"""The DaemonSet controller: handlers, and one round of managing pods node by node.

Upstream: pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from kubelab.cluster.client import APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.daemonset.history import History
from kubelab.cluster.controllers.daemonset.managing import FailedPodsBackoff, NodePlan, plan_node
from kubelab.cluster.controllers.daemonset.placement import fits, pod_template, target_node
from kubelab.cluster.controllers.daemonset.rolling import Update
from kubelab.cluster.controllers.daemonset.status import calculate_status
from kubelab.cluster.controllers.ownercontroller import PodOwnerController, labels_of
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.controllers.replicas import BURST, slow_start
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_terminal, is_terminating
from kubelab.cluster.resources import CONTROLLERREVISIONS, DAEMONSETS, NODES, PODS
from kubelab.cluster.selectors import label_selector_matches


class FailedDaemonPods(APIError):
    """Failed pods were deleted: the next round comes later each time, for a node may refuse the new ones too."""


@dataclass
class Round:
    """What one sync sees: the DaemonSet, its pods and revisions, the nodes."""

    key: Key
    daemon_set: Object
    pods: list[Object]
    nodes: list[Object]
    history: History

    def by_node(self) -> dict[str, list[Object]]:
        """The pods that count, by the node that they are on or meant for."""
        found: dict[str, list[Object]] = defaultdict(list)
        for pod in self.pods:
            if target_node(pod) and not (is_terminal(pod) and is_terminating(pod)):
                found[target_node(pod)].append(pod)
        return dict(found)


class DaemonSetController(PodOwnerController):
    name = "daemonset-controller"
    resource = DAEMONSETS
    workers = 2

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        of = context.informers.of
        self.nodes, self.revisions = of(NODES), of(CONTROLLERREVISIONS)
        self.failed_pods = FailedPodsBackoff(context.clock)
        self.recorder = context.recorder(self.name)
        self.pod_control = PodControl(context.client, self.recorder)
        self.revisions.add_handler(self.owned_changed, self.owned_updated, self.owned_changed)
        self.nodes.add_handler(self._node_added, self._node_updated)

    # -- handlers

    @staticmethod
    def selects(owner: Object, labels: dict[str, str]) -> bool:
        return label_selector_matches(owner["spec"].get("selector"), labels)

    def _owner_deleted(self, owner: Object) -> None:
        self.failed_pods.forget(owner)
        super()._owner_deleted(owner)

    def _node_added(self, node: Object) -> None:
        for daemon_set in self.owners.list():
            if fits(daemon_set, node)[0]:
                self.enqueue(daemon_set)

    def _node_updated(self, old: Object, new: Object) -> None:
        """Only where it makes a difference: a node changes with every heartbeat of its status."""
        for daemon_set in self.owners.list():
            if fits(daemon_set, old) != fits(daemon_set, new):
                self.enqueue(daemon_set)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        daemon_set = self.owners.get(*key)
        if daemon_set is None:
            self.expectations.forget(key)
            return
        if is_terminating(daemon_set):
            return  # revisions may be gone before the pods are: nothing that could be said would be true
        history = History(self.client, daemon_set)
        claimer = Claimer(
            self.client, DAEMONSETS, daemon_set, PODS, lambda pod: self.selects(daemon_set, labels_of(pod))
        )
        pods = await claimer.claim(self.pods.list(key[0]))
        await history.construct(self.revisions.list(key[0]), pods)
        this = Round(key, daemon_set, pods, self.nodes.list(), history)
        if not self.expectations.satisfied(key):
            await self._update_status(this, observed=False)
            return
        try:
            await self._manage(this)
            await self._update_pods(this)
            await history.clean_up(pods)
        finally:
            await self._update_status(this, observed=True)

    async def _manage(self, this: Round) -> None:
        """Node by node: a pod where one is missing, none where none belongs, one where there are several."""
        by_node, total = this.by_node(), NodePlan()
        for node in this.nodes:
            name = node["metadata"]["name"]
            total += plan_node(
                this.daemon_set, node, by_node.get(name), this.history.hash, self.clock.now(), self.failed_pods
            )
        known = {node["metadata"]["name"] for node in this.nodes}
        for name in by_node.keys() - known:  # never scheduled, so nobody else will delete them
            total.delete += [pod for pod in by_node[name] if not pod["spec"].get("nodeName")]
        for type, reason, message in total.events:
            self.recorder.event(this.daemon_set, type, reason, message)
        if total.retry_after:
            self.queue.add_after(this.key, total.retry_after)
        await self._apply(this, total.delete, total.create)
        if total.failed:
            where = "/".join(this.key)
            raise FailedDaemonPods({"message": f"deleted {total.failed} failed pods of DaemonSet {where}"})

    async def _update_pods(self, this: Round) -> None:
        """Go on with a rolling update, once everything that was done has been seen."""
        if this.daemon_set["spec"]["updateStrategy"]["type"] == "OnDelete" or not self.expectations.satisfied(this.key):
            return
        wanted = frozenset(node["metadata"]["name"] for node in this.nodes if fits(this.daemon_set, node)[0])
        update = Update(this.daemon_set, this.history.hash, wanted, self.clock.now())
        plan = update.plan(this.by_node())
        await self._apply(this, plan.delete, plan.create)

    async def _apply(self, this: Round, delete: list[Object], create: list[str]) -> None:
        """Delete the pods, create one for each of the nodes, and expect to see it in the cache."""
        if not delete and not create:
            return
        delete, create = delete[:BURST], create[:BURST]
        self.expectations.expect(this.key, len(create), [pod["metadata"]["uid"] for pod in delete])
        waiting = iter(create)

        async def create_next() -> None:
            template = pod_template(this.daemon_set, next(waiting), this.history.hash)
            try:
                await self.pod_control.create(this.daemon_set, template)
            except APIError as error:
                if not error.has_cause("NamespaceTerminating"):
                    raise

        created, failure = await slow_start(len(create), create_next)
        if created < len(create):
            self.expectations.creation_observed(this.key, len(create) - created)
        results = await asyncio.gather(*(self._delete_pod(this, pod) for pod in delete), return_exceptions=True)
        for problem in (*results, failure):
            if isinstance(problem, BaseException):
                raise problem

    async def _delete_pod(self, this: Round, pod: Object) -> None:
        try:
            await self.pod_control.delete(this.daemon_set, pod)
        except APIError as error:
            self.expectations.deletion_observed(this.key, pod["metadata"]["uid"])
            if not isinstance(error, NotFound | Conflict):
                raise

    async def _update_status(self, this: Round, *, observed: bool) -> None:
        """Count; `observed` says that this generation was worked on and not only looked at."""
        now = self.clock.now()
        status = calculate_status(this.daemon_set, this.nodes, this.by_node(), this.history.hash, now, observed)
        await self.write_status(this.daemon_set, status)
        min_ready = this.daemon_set["spec"].get("minReadySeconds", 0)
        if min_ready and status["numberReady"] != status.get("numberAvailable", 0):
            self.queue.add_after(this.key, min_ready)
