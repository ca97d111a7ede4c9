"""Node lifecycle: notice a silent node, say so in its status, taint it, and mark its pods not ready.

Upstream: pkg/controller/nodelifecycle/node_lifecycle_controller.go. What then evicts the pods is `tainteviction.py`.
How fast, and when not at all, is `zones.py`.
"""

from __future__ import annotations

import asyncio
import logging

from kubelab.cluster.client import APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.nodehealth import NodeHealth, unknown_conditions
from kubelab.cluster.controllers.zones import Zones
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import condition, is_ready, node_name
from kubelab.cluster.resources import LEASES, NODES, PODS
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
LEASE_NAMESPACE = "kube-node-lease"

# Condition type and status: the taint that keeps new pods away.
NO_SCHEDULE = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
OURS = {*NO_SCHEDULE.values(), UNSCHEDULABLE}


class NodeLifecycleController(Controller):
    """Keys are ("", node): NoSchedule taints follow a node at once. Silence is looked for once a monitor period."""

    name = "node-lifecycle-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes, self.pods = context.informers.of(NODES), context.informers.of(PODS)
        self.leases = context.informers.of(LEASES)
        self.recorder = context.recorder("node-controller")
        self.health = NodeHealth()
        self._was_ready: dict[str, bool] = {}
        self.zones = Zones()
        self.nodes.add_handler(self._added, lambda old, new: self.enqueue(new), self._deleted)
        self.pods.add_index("node", lambda pod: [node_name(pod)] if node_name(pod) else [])

    def _added(self, node: Object) -> None:
        self._tell(node, "RegisteredNode", "event: Registered Node {} in Controller")
        self.enqueue(node)

    def _deleted(self, node: Object) -> None:
        name = node["metadata"]["name"]
        self.health.forget(name)
        self._was_ready.pop(name, None)
        self._tell(node, "RemovingNode", "event: Removing Node {} from Controller")

    def _tell(self, node: Object, reason: str, message: str) -> None:
        name = node["metadata"]["name"]
        self.recorder.event(node, "Normal", reason, f"Node {name} {message.format(name)}")

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(super().run())
            group.create_task(self._monitor_forever())

    async def _monitor_forever(self) -> None:
        await self.context.informers.synced()
        while True:
            try:
                await self.monitor()
            except APIError as error:
                log.info("%s: %s", self.name, error)
            await self.clock.sleep(self.context.config.node_monitor_period)

    # -- NoSchedule: mirrors the node's conditions

    async def sync(self, key: Key) -> None:
        node = self.nodes.get(*key)
        if node is None:
            return
        wanted = {
            NO_SCHEDULE[pair]
            for pair in ((c["type"], c["status"]) for c in node.get("status", {}).get("conditions") or ())
            if pair in NO_SCHEDULE
        }
        if node["spec"].get("unschedulable"):
            wanted.add(UNSCHEDULABLE)
        await self._set_taints(node, wanted, "NoSchedule", OURS)

    # -- silence

    async def monitor(self) -> None:
        """One round over all nodes."""
        nodes = [await self._check(node) for node in self.nodes.list()]
        await self._taint_for_eviction(nodes)

    async def _check(self, node: Object) -> Object:
        """Declare the node Unknown after the grace period; mark its pods where it stopped being ready."""
        name, now = node["metadata"]["name"], self.clock.monotonic()
        self.health.observe(node, self.leases.get(LEASE_NAMESPACE, name), now)
        config = self.context.config
        grace = config.node_monitor_grace_period if condition(node, "Ready") else config.node_startup_grace_period
        ready = is_ready(node)
        if self.health.silent_for(node, now) > grace:
            ready = False
            node = await self._declare_unknown(node)
        if not ready and self._was_ready.get(name, True):
            await self._mark_pods_not_ready(name)
            if self._was_ready.get(name):
                self._tell(node, "NodeNotReady", "status is now: NodeNotReady")
        self._was_ready[name] = ready
        return node

    async def _declare_unknown(self, node: Object) -> Object:
        conditions = unknown_conditions(node, self.clock.now())
        status = node.get("status", {})
        if conditions == status.get("conditions"):
            return node
        try:
            return await self.client.update(NODES, {**node, "status": {**status, "conditions": conditions}}, "status")
        except (Conflict, NotFound):
            return node  # it moved: the next round sees it

    async def _mark_pods_not_ready(self, node: str) -> None:
        for pod in self.pods.by_index("node", node):
            ready = condition(pod, "Ready")
            if ready is None or ready["status"] == "False":
                continue
            changed = {**ready, "status": "False", "lastTransitionTime": timestamp(self.clock.now())}
            metadata = pod["metadata"]
            patch = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [changed]}}
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            try:
                await self.client.patch(PODS, metadata["name"], patch, metadata["namespace"], subresource="status")
            except (NotFound, Conflict):
                continue

    # -- NoExecute: drives pods away

    async def _taint_for_eviction(self, nodes: list[Object]) -> None:
        """Give silent nodes NoExecute taints, one after another; all are let off while nobody is heard.

        When the first is heard again, the others are given their time anew.
        """
        if self.zones.observe(nodes):
            self.health.restart(self.clock.monotonic())
        for node in nodes:
            ready = condition(node, "Ready")
            wanted = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready["status"]) if ready else None
            if wanted is None or self.zones.all_silent:
                await self._set_eviction_taint(node, set())
            elif self._is_evicting(node) or self.zones.may_give_up(node, self.clock.monotonic()):
                await self._set_eviction_taint(node, {wanted})

    async def _set_eviction_taint(self, node: Object, wanted: set[str]) -> None:
        """Once more on a fresh node where another writer, our own NoSchedule taint as a rule, came first."""
        ours = {NOT_READY, UNREACHABLE}
        try:
            await self._set_taints(node, wanted, "NoExecute", ours)
        except Conflict:
            fresh = await self.client.get(NODES, node["metadata"]["name"])
            await self._set_taints(fresh, wanted, "NoExecute", ours)

    def _is_evicting(self, node: Object) -> bool:
        taints = node["spec"].get("taints") or ()
        return any(t["effect"] == "NoExecute" and t["key"] in (NOT_READY, UNREACHABLE) for t in taints)

    async def _set_taints(self, node: Object, wanted: set[str], effect: str, ours: set[str]) -> None:
        """Make the node's taints of `effect` among `ours` equal to `wanted`; everyone else's stay."""
        taints = node["spec"].get("taints") or []
        mine = {t["key"] for t in taints if t["effect"] == effect and t["key"] in ours}
        if mine == wanted:
            return
        kept = [t for t in taints if t["effect"] != effect or t["key"] not in ours or t["key"] in wanted]
        now = timestamp(self.clock.now())
        added = [{"key": key, "effect": effect, "timeAdded": now} for key in sorted(wanted - mine)]
        metadata = node["metadata"]
        patch = {
            "metadata": {"resourceVersion": metadata["resourceVersion"]},
            "spec": {"taints": [*kept, *added] or None},
        }
        try:
            await self.client.patch(NODES, metadata["name"], patch, type="merge")
        except NotFound:
            return
