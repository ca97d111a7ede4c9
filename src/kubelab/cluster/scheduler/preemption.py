"""Make room for a pod: which less important pods would have to go, and on which node that costs least.

Upstream: pkg/scheduler/framework/preemption/preemption.go and plugins/defaultpreemption. PodDisruptionBudgets are
respected as far as possible, no farther: where nothing else helps, a victim goes although its budget is used up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.pods import condition, is_terminating
from kubelab.cluster.scheduler.budgets import split_by_violation
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.diagnosis import available
from kubelab.cluster.scheduler.filtering import rejection_with_nominated
from kubelab.cluster.scheduler.framework import Cycle, Rejection
from kubelab.cluster.scheduler.nominator import Nominator
from kubelab.cluster.scheduler.requests import PodInfo

Object = dict[str, Any]

BY_SCHEDULER = "PreemptionByScheduler"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
PRIORITY_OFFSET = 2**31  # makes every priority positive, so that fewer victims sum up to less


@dataclass(frozen=True)
class Victims:
    """Who would have to leave a node, the most important first, and how many of them against a budget."""

    pods: tuple[PodInfo, ...]
    violations: int = 0


@dataclass(frozen=True)
class Preemption:
    """The result: a node and the pods that go there, the most important first; or the message why there is none.

    `gives_up` where the pod loses the node it was nominated for.
    """

    node: str = ""
    victims: tuple[PodInfo, ...] = ()
    message: str = ""
    gives_up: bool = False


def preempt(cycle: Cycle, rejections: Mapping[str, Rejection], nominator: Nominator) -> Preemption:
    """Look for the node where a preemption helps and costs least; nothing is done yet."""
    refusal = _not_eligible(cycle, rejections)
    if refusal:
        return Preemption(message=refusal)
    candidates: dict[str, Victims] = {}
    reasons: Counter[str] = Counter()
    for node in cycle.nodes:
        if not rejections[node.name].resolvable:
            reasons[NOT_HELPFUL] += 1
            continue
        found = _victims(cycle, node, nominator)
        if isinstance(found, Rejection):
            reasons.update(found.reasons)
        else:
            candidates[node.name] = found
    if not candidates:
        return Preemption(message=available(reasons, rejections), gives_up=True)
    node = min(candidates, key=lambda name: _cost(candidates[name]))
    return Preemption(node, candidates[node].pods)


def _not_eligible(cycle: Cycle, rejections: Mapping[str, Rejection]) -> str:
    """Why the pod may not preempt: it does not want to, or room is being made for it already."""
    pod = cycle.pod.pod
    if pod["spec"].get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    nominated = (pod.get("status") or {}).get("nominatedNodeName")
    node = next((node for node in cycle.nodes if node.name == nominated), None)
    if node is None or not rejections[node.name].resolvable:
        return ""
    if any(_is_leaving(info.pod) and info.priority < cycle.pod.priority for info in node.pods.values()):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _is_leaving(pod: Object) -> bool:
    target = condition(pod, "DisruptionTarget") or {}
    return is_terminating(pod) and target.get("status") == "True" and target.get("reason") == BY_SCHEDULER


def _victims(cycle: Cycle, node: NodeInfo, nominator: Nominator) -> Victims | Rejection:
    """Take all less important pods away, then let back in whoever does not stand in the way: first those whose budget
    would be violated, among them and among the rest the important ones first (SelectVictimsOnNode).
    """
    less_important = sorted((i for i in node.pods.values() if i.priority < cycle.pod.priority), key=_importance)
    if not less_important:
        return Rejection((NO_VICTIMS,))
    tried, nominated = node.copy(), nominator.on(node.name)
    for info in less_important:
        tried.remove(info.uid)
    rejection = rejection_with_nominated(cycle.with_node(tried), tried, nominated)
    if rejection is not None:
        return rejection
    violating, others = split_by_violation(less_important, cycle.cluster.disruption_budgets())
    victims, violations = [], 0
    for index, info in enumerate([*violating, *others]):
        tried.add(info)
        if rejection_with_nominated(cycle.with_node(tried), tried, nominated) is not None:
            tried.remove(info.uid)
            victims.append(info)
            violations += index < len(violating)
    return Victims(tuple(sorted(victims, key=_importance)), violations)


def _importance(info: PodInfo) -> tuple[int, str]:
    """The most important first: higher priority, then started earlier."""
    return -info.priority, _started(info)


def _started(info: PodInfo) -> str:
    """RFC 3339 in UTC, so that text order is time order; what has not started sorts last."""
    return (info.pod.get("status") or {}).get("startTime") or "9999"


def _cost(victims: Victims) -> tuple[Any, ...]:
    """Compared in order: violated budgets, the highest priority, the sum of priorities, the number; then who has run
    for the shortest (pickOneNodeForPreemption).
    """
    pods = victims.pods
    if not pods:
        return (0, -PRIORITY_OFFSET, 0, 0, "")
    highest = pods[0].priority
    earliest = min(_started(info) for info in pods if info.priority == highest)
    total = sum(info.priority + PRIORITY_OFFSET for info in pods)
    return victims.violations, highest, total, len(pods), _later_first(earliest)


def _later_first(moment: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in moment)
