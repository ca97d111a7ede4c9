"""Eviction: a polite deletion, which a PodDisruptionBudget may stand against.

Upstream: pkg/registry/core/pod/storage/eviction.go. What the budget allows is counted by the disruption controller;
here it is charged, so that two evictions at the same time do not both get the last one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubelab.cluster.apiserver import deletion, errors
from kubelab.cluster.apiserver.deletion import DeleteOptions
from kubelab.cluster.apiserver.registry import Options, Registry
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.pods import condition, is_ready, is_terminal, is_terminating, phase
from kubelab.cluster.resources import PODDISRUPTIONBUDGETS, PODS
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
CAUSE = "DisruptionBudget"
MAX_DISRUPTED_PODS = 2000  # evictions that the controller has not noticed yet


def evict(registry: Registry, info: RequestInfo, eviction: Object, options: Options) -> Object:
    """POST pods/NAME/eviction. Raises 429 while a budget forbids it, and what deletion.delete raises."""
    if (eviction.get("metadata") or {}).get("name") != info.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    given = deletion.parse(eviction.get("deleteOptions") or {})
    given = replace(given, dry_run=given.dry_run or options.dry_run)
    pod = registry.get(PODS, info.name, info.namespace)
    if not (is_terminal(pod) or is_terminating(pod) or phase(pod) == "Pending"):
        _ask_budgets(registry, pod, given)
    if not given.dry_run:
        _mark(registry, info, given)
        given = replace(given, resource_version="")  # it was checked, and has gone up with the mark
    deletion.delete(registry, PODS, info.name, info.namespace, given)
    return errors.status(201, "", "", success=True)


def _ask_budgets(registry: Registry, pod: Object, given: DeleteOptions) -> None:
    budgets = _budgets_of(registry, pod)
    if len(budgets) > 1:
        words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise errors.StatusError(500, "", words)
    for budget in budgets:
        if is_ready(pod) or not _spares_unready(budget):
            _charge(registry, budget, pod["metadata"]["name"], given.dry_run)


def _budgets_of(registry: Registry, pod: Object) -> list[Object]:
    labels = pod["metadata"].get("labels")
    found = (record.load() for record in registry.records(PODDISRUPTIONBUDGETS, pod["metadata"]["namespace"]))
    return [b for b in found if b["spec"].get("selector") and label_selector_matches(b["spec"]["selector"], labels)]


def _spares_unready(budget: Object) -> bool:
    """Whether a pod that is not ready, and so does not count as healthy, may go without being charged."""
    status = budget["status"]
    enough = status["currentHealthy"] >= status["desiredHealthy"] > 0
    return enough or budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"


def _charge(registry: Registry, budget: Object, pod: str, dry_run: bool) -> None:
    """Take one of the disruptions that are allowed, and tell the controller for which pod."""
    meta, status = budget["metadata"], budget["status"]
    name = meta["name"]
    if status.get("observedGeneration", 0) < meta["generation"]:
        raise _refusal(f"The disruption budget {name} is still being processed by the server.", 10)
    disrupted = status.get("disruptedPods") or {}
    if len(disrupted) > MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise errors.forbidden(PODDISRUPTIONBUDGETS, name, why)
    if status["disruptionsAllowed"] == 0:
        raise _refusal(_why_none(budget))
    if dry_run:
        return
    status["disruptionsAllowed"] -= 1
    status["disruptedPods"] = {**disrupted, pod: registry.now()}
    if status["disruptionsAllowed"] == 0 and (allowed := condition(budget, "DisruptionAllowed")):
        allowed |= {"status": "False", "reason": "InsufficientPods", "lastTransitionTime": registry.now()}
    options = Options(subresource="status")
    registry.update(PODDISRUPTIONBUDGETS, name, budget, meta["namespace"], options, "status")


def _why_none(budget: Object) -> str:
    name, status = budget["metadata"]["name"], budget["status"]
    allowed = condition(budget, "DisruptionAllowed")
    if allowed and allowed["status"] == "False" and allowed["reason"] == "SyncFailed":
        why = "does not allow evicting pods currently because it failed sync"
        return f"The disruption budget {name} {why}: {allowed['message']}"
    needed, found = status["desiredHealthy"], status["currentHealthy"]
    return f"The disruption budget {name} needs {needed} healthy pods and has {found} currently"


def _refusal(why: str, retry_after: int = 0) -> errors.StatusError:
    return errors.too_many_requests(VIOLATED, [{"reason": CAUSE, "message": why}], retry_after)


def _mark(registry: Registry, info: RequestInfo, given: DeleteOptions) -> None:
    """Say in the pod's status why it goes: who counts its failures does not count this one."""
    record = registry.record(PODS, info.name, info.namespace)
    old, pod = record.load(), record.load()
    deletion.check(PODS, old, given)
    status = pod.setdefault("status", {})
    others = [c for c in status.get("conditions") or () if c["type"] != "DisruptionTarget"]
    mark = {"type": "DisruptionTarget", "status": "True", "lastProbeTime": None}
    mark |= {"lastTransitionTime": registry.now(), "reason": "EvictionByEvictionAPI"}
    mark |= {"message": "Eviction API: evicting"}
    status["conditions"] = [*others, mark]
    registry.replace(PODS, record, pod, old)
