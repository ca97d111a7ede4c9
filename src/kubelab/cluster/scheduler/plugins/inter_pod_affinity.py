"""Pods that want others near them, or far: in one topology domain, that is, on nodes with the same value of a label.

Upstream: pkg/scheduler/framework/plugins/interpodaffinity (filtering.go, scoring.go). What running pods say of others
holds for the new pod too: their anti-affinity keeps it out, their affinity draws it near.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubelab.cluster.scheduler.affinity_terms import AffinityTerm
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import MAX_SCORE, Change, Cluster, Cycle, Plugin, Rejection, labels_of
from kubelab.cluster.scheduler.requests import PodInfo

Object = dict[str, Any]
Domain = tuple[str, str]  # topology key and value

HARD_AFFINITY_WEIGHT = 1  # of a running pod's required affinity, when nodes are scored
NOT_NEAR = "node(s) didn't match pod affinity rules"
TOO_NEAR = "node(s) didn't match pod anti-affinity rules"
NOT_WANTED = "node(s) didn't satisfy existing pods anti-affinity rules"


@dataclass
class Counts:
    """Running pods by domain: those that the new pod wants near, those it shuns, and those that shun it."""

    near: Counter[Domain] = field(default_factory=Counter)
    shunned: Counter[Domain] = field(default_factory=Counter)
    shunning: Counter[Domain] = field(default_factory=Counter)


class InterPodAffinity(Plugin):
    name = "InterPodAffinity"
    weight = 2

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        counts = cycle.once(self.name, lambda: _count(cycle))
        if not _affinity_is_met(cycle, node, counts):
            return Rejection((NOT_NEAR,))
        if any(counts.shunned[(t.topology_key, node.labels.get(t.topology_key))] for t in cycle.pod.anti_affinity):
            return Rejection((TOO_NEAR,), resolvable=True)
        if any(counts.shunning[domain] for domain in counts.shunning if node.labels.get(domain[0]) == domain[1]):
            return Rejection((NOT_WANTED,), resolvable=True)
        return None

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """The weights of what the pod prefers, and of what running pods think of it, in the node's domains."""
        weights = _weights(cycle)
        if not weights:
            return [0] * len(nodes)
        raw = [sum(w for (key, value), w in weights.items() if node.labels.get(key) == value) for node in nodes]
        lowest, highest = min(0, *raw), max(0, *raw)
        if highest == lowest:
            return [0] * len(nodes)
        return [int(MAX_SCORE * ((value - lowest) / (highest - lowest))) for value in raw]

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        """A wanted pod came, an unwanted one or one that shuns this one went, or a node with such a domain changed."""
        if change.what == "node":
            old, new = (labels_of(node) if node else {} for node in (change.old, change.new))
            return change.new is not None and (change.old is None or old != new)
        wanted = _means(pod.affinity, change.new, cluster) and not _means(pod.affinity, change.old, cluster)
        freed = _means(pod.anti_affinity, change.old, cluster) and not _means(pod.anti_affinity, change.new, cluster)
        return wanted or freed or (_shuns(change.old, pod, cluster) and not _shuns(change.new, pod, cluster))


def _count(cycle: Cycle) -> Counts:
    counts, info, cluster = Counts(), cycle.pod, cycle.cluster
    own_namespace = cluster.namespace_labels(info.pod["metadata"]["namespace"])
    for node in cycle.nodes:
        for other in node.with_affinity.values():
            for term in other.anti_affinity:
                if term.topology_key in node.labels and term.matches(info.pod, own_namespace):
                    counts.shunning[(term.topology_key, node.labels[term.topology_key])] += 1
        if info.affinity or info.anti_affinity:
            _count_wanted(counts, node, info, cluster)
    return counts


def _count_wanted(counts: Counts, node: NodeInfo, info: PodInfo, cluster: Cluster) -> None:
    for other in node.pods.values():
        namespace = cluster.namespace_labels(other.pod["metadata"]["namespace"])
        if info.affinity and all(term.matches(other.pod, namespace) for term in info.affinity):
            for term in info.affinity:
                if term.topology_key in node.labels:
                    counts.near[(term.topology_key, node.labels[term.topology_key])] += 1
        for term in info.anti_affinity:
            if term.topology_key in node.labels and term.matches(other.pod, namespace):
                counts.shunned[(term.topology_key, node.labels[term.topology_key])] += 1


def _affinity_is_met(cycle: Cycle, node: NodeInfo, counts: Counts) -> bool:
    """The first pod of a group that wants itself near may go anywhere with such a domain."""
    terms = cycle.pod.affinity
    if any(term.topology_key not in node.labels for term in terms):
        return False
    if all(counts.near[(term.topology_key, node.labels[term.topology_key])] for term in terms):
        return True
    own = cycle.cluster.namespace_labels(cycle.pod.pod["metadata"]["namespace"])
    return not counts.near.total() and all(term.matches(cycle.pod.pod, own) for term in terms)


def _weights(cycle: Cycle) -> Counter[Domain]:
    weights: Counter[Domain] = Counter()
    info, cluster = cycle.pod, cycle.cluster
    own_namespace = cluster.namespace_labels(info.pod["metadata"]["namespace"])

    def add(term: AffinityTerm, weight: int, node: NodeInfo) -> None:
        if term.topology_key in node.labels:
            weights[(term.topology_key, node.labels[term.topology_key])] += weight

    for node in cycle.nodes:
        for other in (node.pods if info.preferred else node.with_affinity).values():
            namespace = cluster.namespace_labels(other.pod["metadata"]["namespace"])
            for term in info.preferred:
                if term.matches(other.pod, namespace):
                    add(term, term.weight, node)
            for term in (*other.affinity, *other.preferred):
                if term.matches(info.pod, own_namespace):
                    add(term, term.weight or HARD_AFFINITY_WEIGHT, node)
    return weights


def _means(terms: Sequence[AffinityTerm], pod: Object | None, cluster: Cluster) -> bool:
    if pod is None or not terms:
        return False
    namespace = cluster.namespace_labels(pod["metadata"]["namespace"])
    return any(term.matches(pod, namespace) for term in terms)


def _shuns(other: Object | None, info: PodInfo, cluster: Cluster) -> bool:
    return other is not None and _means(PodInfo.of(other).anti_affinity, info.pod, cluster)
