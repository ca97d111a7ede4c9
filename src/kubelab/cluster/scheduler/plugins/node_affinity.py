"""`nodeSelector` and node affinity: the required terms decide, the preferred ones weigh.

Upstream: pkg/scheduler/framework/plugins/nodeaffinity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelab.cluster.scheduler.affinity_terms import PREFERRED, REQUIRED
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Change, Cluster, Cycle, Plugin, Rejection, labels_of, normalized
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.selectors import expression_matches, map_matches, node_selector_matches

Object = dict[str, Any]


class NodeAffinity(Plugin):
    name = "NodeAffinity"
    weight = 2

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        if matches_node(cycle.pod, node.node):
            return None
        return Rejection(("node(s) didn't match Pod's node affinity/selector",))

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """The weights of the preferred terms that the node matches."""
        affinity = (cycle.pod.pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
        preferred = affinity.get(PREFERRED) or ()
        return normalized([sum(p["weight"] for p in preferred if _prefers(p["preference"], n.node)) for n in nodes])

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        if change.what != "node" or change.new is None or not matches_node(pod, change.new):
            return False
        return change.old is None or not matches_node(pod, change.old)


def matches_node(info: PodInfo, node: Object) -> bool:
    """Whether the node has what the pod requires of it."""
    spec = info.pod["spec"]
    if not map_matches(spec.get("nodeSelector") or {}, labels_of(node)):
        return False
    required = _required_terms(spec)
    return required is None or node_selector_matches(required, node)


def named_nodes(info: PodInfo) -> frozenset[str] | None:
    """The only nodes that the required terms allow by their names (the PreFilter result), None for no such limit.

    So a DaemonSet's pod is compared with one node, and the others are not asked.
    """
    found: set[str] = set()
    for term in _required_terms(info.pod["spec"]) or ():
        fields = term.get("matchFields") or ()
        names = [set(f["values"]) for f in fields if f["key"] == "metadata.name" and f["operator"] == "In"]
        if not names:
            return None  # terms are alternatives: one without a name lets every node be asked
        found |= set.intersection(*names)
    return frozenset(found) if _required_terms(info.pod["spec"]) else None


def _required_terms(spec: Object) -> list[Object] | None:
    """The node selector terms of which one has to match; None where there is no such affinity."""
    required = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return None if required is None else required.get("nodeSelectorTerms") or []


def _prefers(term: Object, node: Object) -> bool:
    """As a required term, but one without expressions matches every node."""
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(expression_matches(e, labels_of(node)) for e in term.get("matchExpressions") or ()) and all(
        expression_matches(f, fields) for f in term.get("matchFields") or ()
    )
