"""Spread pods that belong together over zones, hosts or any other label of nodes.

Upstream: pkg/scheduler/framework/plugins/podtopologyspread (common.go, filtering.go, scoring.go). Pods without
constraints of their own have the system's: softly, over hosts with a skew of 3 and over zones with one of 5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.pods import is_terminating
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import MAX_SCORE, Change, Cluster, Cycle, Plugin, Rejection, labels_of
from kubelab.cluster.scheduler.plugins.node_affinity import matches_node
from kubelab.cluster.scheduler.plugins.taint_toleration import untolerated
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]

HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"


@dataclass(frozen=True)
class Constraint:
    key: str
    max_skew: int
    selector: Object | None
    min_domains: int = 1
    honours_affinity: bool = True
    honours_taints: bool = False

    def includes(self, info: PodInfo, node: NodeInfo) -> bool:
        """Whether the node counts as a place at all."""
        if self.honours_affinity and not matches_node(info, node.node):
            return False
        return not (self.honours_taints and untolerated(node.node, info) is not None)

    def count(self, node: NodeInfo, namespace: str) -> int:
        return sum(
            info.pod["metadata"]["namespace"] == namespace
            and not is_terminating(info.pod)
            and label_selector_matches(self.selector, info.pod["metadata"].get("labels"))
            for info in node.pods.values()
        )


class PodTopologySpread(Plugin):
    name = "PodTopologySpread"
    weight = 2

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        for constraint, counts in cycle.once(self.name, lambda: _hard_counts(cycle)):
            domain = node.labels.get(constraint.key)
            if domain is None:
                words = "node(s) didn't match pod topology spread constraints (missing required label)"
                return Rejection((words,))
            lowest = 0 if len(counts) < constraint.min_domains else min(counts.values(), default=math.inf)
            itself = label_selector_matches(constraint.selector, labels_of(cycle.pod.pod))
            if counts.get(domain, 0) + itself - lowest > constraint.max_skew:
                return Rejection(("node(s) didn't match pod topology spread constraints",), resolvable=True)
        return None

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """Fewer pods of the same kind are better, in each of the pod's domains."""
        own = bool(cycle.pod.pod["spec"].get("topologySpreadConstraints"))
        constraints = constraints_of(cycle.pod.pod, SOFT) if own else default_constraints(cycle)
        if not constraints:
            return [0] * len(nodes)
        scored = [node for node in nodes if not own or _has_all(node, constraints)]
        raw = dict.fromkeys((node.name for node in scored), 0.0)
        for constraint in constraints:
            if not any(constraint.key in node.labels for node in scored):
                continue  # no zones: there is nothing to count
            counts, weight = _soft_counts(cycle, constraint, scored, constraints if own else [])
            for node in scored:
                if constraint.key in node.labels:
                    raw[node.name] += counts[_domain(node, constraint)] * weight + constraint.max_skew - 1
        rounded = {name: math.floor(value + 0.5) for name, value in raw.items()}
        return _inverted([rounded.get(node.name) for node in nodes])

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        """A pod that counts came or went, or a node gained or lost a domain."""
        constraints = constraints_of(pod.pod, HARD)
        if change.what == "node":
            old, new = (labels_of(node) if node else {} for node in (change.old, change.new))
            keys = [constraint.key for constraint in constraints]
            return [old.get(key) for key in keys] != [new.get(key) for key in keys]
        shown = [other for other in (change.old, change.new) if other is not None]
        if shown[0]["metadata"]["namespace"] != pod.pod["metadata"]["namespace"]:
            return False
        if len(shown) == 2 and _weighs(shown[0]) == _weighs(shown[1]):
            return False
        return any(label_selector_matches(c.selector, labels_of(other)) for c in constraints for other in shown)


def constraints_of(pod: Object, when_unsatisfiable: str) -> list[Constraint]:
    """The pod's own constraints of one kind; `matchLabelKeys` narrow their selectors to pods of the same values."""
    labels = labels_of(pod)
    made = []
    for spec in pod["spec"].get("topologySpreadConstraints") or ():
        if spec["whenUnsatisfiable"] != when_unsatisfiable:
            continue
        selector, keys = spec.get("labelSelector"), [k for k in spec.get("matchLabelKeys") or () if k in labels]
        if selector is not None and keys:
            same = [{"key": key, "operator": "In", "values": [labels[key]]} for key in keys]
            selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *same]}
        affinity = (spec.get("nodeAffinityPolicy") or "Honor") == "Honor"
        taints = spec.get("nodeTaintsPolicy") == "Honor"
        minimum = spec.get("minDomains") or 1
        made.append(Constraint(spec["topologyKey"], spec["maxSkew"], selector, minimum, affinity, taints))
    return made


def default_constraints(cycle: Cycle) -> list[Constraint]:
    """The system's, for a pod that a service or a controller selects together with others."""
    selector = cycle.cluster.default_selector(cycle.pod.pod)
    return [] if selector is None else [Constraint(HOSTNAME, 3, selector), Constraint(ZONE, 5, selector)]


def _hard_counts(cycle: Cycle) -> list[tuple[Constraint, dict[str, int]]]:
    """Each hard constraint with the matching pods in each of its domains."""
    constraints = constraints_of(cycle.pod.pod, HARD)
    counted: list[tuple[Constraint, dict[str, int]]] = [(constraint, {}) for constraint in constraints]
    namespace = cycle.pod.pod["metadata"]["namespace"]
    for node in cycle.nodes if constraints else ():
        if not _has_all(node, constraints):
            continue
        for constraint, counts in counted:
            if constraint.includes(cycle.pod, node):
                domain = node.labels[constraint.key]
                counts[domain] = counts.get(domain, 0) + constraint.count(node, namespace)
    return counted


def _soft_counts(
    cycle: Cycle, constraint: Constraint, scored: list[NodeInfo], needed: list[Constraint]
) -> tuple[dict[str, int], float]:
    """(matching pods by domain, the weight of a topology with that many domains)."""
    namespace = cycle.pod.pod["metadata"]["namespace"]
    counts = dict.fromkeys((_domain(node, constraint) for node in scored), 0)
    if constraint.key == HOSTNAME:
        counts = {_domain(node, constraint): constraint.count(node, namespace) for node in scored}
        return counts, math.log(len(scored) + 2)
    for node in cycle.nodes:
        domain = _domain(node, constraint)
        if domain in counts and _has_all(node, needed) and constraint.includes(cycle.pod, node):
            counts[domain] += constraint.count(node, namespace)
    return counts, math.log(len(counts) + 2)


def _domain(node: NodeInfo, constraint: Constraint) -> str:
    return node.name if constraint.key == HOSTNAME else node.labels.get(constraint.key, "")


def _has_all(node: NodeInfo, constraints: Sequence[Constraint]) -> bool:
    return all(constraint.key in node.labels for constraint in constraints)


def _inverted(values: Sequence[int | None]) -> list[int]:
    """Few is good; a node that takes no part (None) gets nothing."""
    known = [value for value in values if value is not None]
    lowest, highest = min(known, default=0), max(known, default=0)
    if not highest:
        return [0 if value is None else MAX_SCORE for value in values]
    return [0 if value is None else MAX_SCORE * (highest + lowest - value) // highest for value in values]


def _weighs(pod: Object) -> tuple[Any, ...]:
    return labels_of(pod), is_terminating(pod)
