"""PodDisruptionBudget: how many pods may be evicted at this moment.

Upstream: pkg/controller/disruption/disruption.go and component-helpers' apps/poddisruptionbudget. An eviction takes one
from `disruptionsAllowed` and notes its pod in `disruptedPods`, until that pod is seen to go.
"""

from __future__ import annotations

from datetime import timedelta

from kubelab.cluster import times
from kubelab.cluster.client import Conflict
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.deployment.strategy import scaled_value
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import condition, controller_of, is_ready, is_terminating
from kubelab.cluster.resources import (
    DEPLOYMENTS,
    PODDISRUPTIONBUDGETS,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    by_kind,
)
from kubelab.cluster.selectors import label_selector_matches

DELETION_TIMEOUT = timedelta(minutes=2)  # an evicted pod that is still there then was not evicted
UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of"
    " the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please"
    ' set ".spec.minAvailable" field of the PDB to an integer value.'
)


class ScaleError(Exception):
    """How many pods there should be cannot be told."""


class DisruptionController(Controller):
    name = "disruption-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.recorder = context.recorder("controllermanager")
        self.budgets, self.pods = context.informers.of(PODDISRUPTIONBUDGETS), context.informers.of(PODS)
        self.scaled = {r: context.informers.of(r) for r in (REPLICATIONCONTROLLERS, REPLICASETS, DEPLOYMENTS)}
        self.budgets.add_handler(self.enqueue, lambda old, new: self.enqueue(new), self.enqueue)
        self.pods.add_handler(self._pod_changed, lambda old, new: self._pod_changed(new), self._pod_changed)

    def _pod_changed(self, pod: Object) -> None:
        meta = pod["metadata"]
        found = [b for b in self.budgets.list(meta["namespace"]) if _selects(b, pod)]
        if len(found) > 1:
            which = f'Pod "{meta["namespace"]}"/"{meta["name"]}" matches multiple PodDisruptionBudgets.'
            text = f'{which}  Chose "{found[0]["metadata"]["name"]}" arbitrarily.'
            self.recorder.event(pod, "Warning", "MultiplePodDisruptionBudgets", text)
        for budget in found[:1]:
            self.enqueue(budget)

    async def sync(self, key: Key) -> None:
        budget = self.budgets.get(*key)
        if budget is None:
            return
        pods = [pod for pod in self.pods.list(key[0]) if _selects(budget, pod, empty=True)]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired = self._expected(budget, pods)
        except ScaleError as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            await self._write(budget, self._failed(budget, str(error)))
            return
        disrupted = self._disrupted(budget, pods)
        healthy = sum(
            is_ready(pod) and not is_terminating(pod) and pod["metadata"]["name"] not in disrupted for pod in pods
        )
        await self._write(budget, self._status(budget, healthy, desired, expected, disrupted))
        if disrupted:
            due = min(map(times.parse, disrupted.values())) + DELETION_TIMEOUT
            self.queue.add_after(key, max((due - self.clock.now()).total_seconds(), 0.0))

    # -- how many there should be

    def _expected(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """(pods that there should be, pods that have to be healthy)."""
        spec = budget["spec"]
        minimum, maximum = spec.get("minAvailable"), spec.get("maxUnavailable")
        if maximum is not None:
            expected = self._scale(budget, pods)
            return expected, max(expected - scaled_value(maximum, expected, round_up=True), 0)
        if isinstance(minimum, int):
            return len(pods), minimum
        if minimum is None:
            return 0, 0
        expected = self._scale(budget, pods)
        return expected, scaled_value(minimum, expected, round_up=True)

    def _scale(self, budget: Object, pods: list[Object]) -> int:
        """The replicas of all that control one of the pods."""
        scales: dict[str, int] = {}
        unmanaged = [pod for pod in pods if controller_of(pod) is None]
        for pod in pods:
            reference = controller_of(pod)
            if reference is not None and reference["uid"] not in scales:
                uid, replicas = self._scale_of(pod, reference)
                scales[uid] = replicas
        if unmanaged:
            shown = budget["spec"].get("selector")
            self.recorder.event(budget, "Warning", "UnmanagedPods", UNMANAGED.format(shown))
        return sum(scales.values())

    def _scale_of(self, pod: Object, reference: Object) -> tuple[str, int]:
        """(uid, replicas) of a pod's controller; of a deployment rather than of its replica set."""
        resource = by_kind(reference["apiVersion"], reference["kind"])
        if resource is not None and resource.subresource("scale") is None:
            raise ScaleError(f"{resource.qualified} does not implement the scale subresource")
        informer = self.scaled.get(resource) if resource is not None else None
        owner = informer.get(pod["metadata"]["namespace"], reference["name"]) if informer else None
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            raise ScaleError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        above = controller_of(owner)
        if above is not None and above["kind"] == DEPLOYMENTS.kind:
            return self._scale_of(pod, above)
        return owner["metadata"]["uid"], owner["spec"].get("replicas", 1)

    # -- how many there are

    def _disrupted(self, budget: Object, pods: list[Object]) -> dict[str, str]:
        """The pods whose eviction was granted, and which have not begun to go."""
        noted = (budget.get("status") or {}).get("disruptedPods") or {}
        left: dict[str, str] = {}
        for pod in pods:
            name = pod["metadata"]["name"]
            if name not in noted or is_terminating(pod):
                continue
            if times.parse(noted[name]) + DELETION_TIMEOUT < self.clock.now():
                namespace = budget["metadata"]["namespace"]  # upstream names it twice
                text = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
                self.recorder.event(pod, "Warning", "NotDeleted", text)
            else:
                left[name] = noted[name]
        return left

    # -- the status

    def _status(self, budget: Object, healthy: int, desired: int, expected: int, disrupted: dict[str, str]) -> Object:
        allowed = max(healthy - desired, 0) if expected > 0 else 0
        generation = budget["metadata"]["generation"]
        status: Object = {"observedGeneration": generation}
        if disrupted:
            status["disruptedPods"] = disrupted
        status |= {"disruptionsAllowed": allowed, "currentHealthy": healthy}
        status |= {"desiredHealthy": desired, "expectedPods": expected}
        enough = ("True", "SufficientPods") if allowed > 0 else ("False", "InsufficientPods")
        return status | {"conditions": self._conditions(budget, *enough, "", generation)}

    def _failed(self, budget: Object, why: str) -> Object:
        """Nothing may be evicted while it cannot be told how many may be."""
        status = budget.get("status") or {}
        generation = status.get("observedGeneration", 0)
        conditions = self._conditions(budget, "False", "SyncFailed", why, generation)
        return status | {"disruptionsAllowed": 0, "conditions": conditions}

    def _conditions(self, budget: Object, value: str, reason: str, message: str, generation: int) -> list[Object]:
        before = condition(budget, "DisruptionAllowed")
        same = before is not None and before["status"] == value
        since = before["lastTransitionTime"] if before and same else times.timestamp(self.clock.now())
        made: Object = {"type": "DisruptionAllowed", "status": value, "lastTransitionTime": since}
        made |= {"reason": reason, "message": message}
        made |= {"observedGeneration": generation} if generation else {}
        others = [c for c in (budget.get("status") or {}).get("conditions") or () if c["type"] != made["type"]]
        return [*others, made]

    async def _write(self, budget: Object, status: Object) -> None:
        if status == budget.get("status"):
            return
        try:
            await self.client.update(PODDISRUPTIONBUDGETS, {**budget, "status": status}, "status")
        except Conflict:
            self.queue.add_rate_limited((budget["metadata"]["namespace"], budget["metadata"]["name"]))


def _selects(budget: Object, pod: Object, *, empty: bool = False) -> bool:
    """Whether a pod is the budget's. The empty selector is every pod's, but wakes for none, as upstream."""
    selector = budget["spec"].get("selector")
    return (empty or bool(selector)) and label_selector_matches(selector, pod["metadata"].get("labels"))
