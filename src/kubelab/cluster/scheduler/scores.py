"""Which of the nodes that can run a pod is best: each rule gives 0 to 100, the weighted sum decides.

Upstream: pkg/scheduler/framework/plugins (tainttoleration, nodeaffinity, podtopologyspread, noderesources) with the
default profile's weights. The system's default spreading is by the pods of the same controller, over host names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from kubelab.cluster.pods import controller_of, is_terminating
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.requests import Amount, PodInfo
from kubelab.cluster.selectors import expression_matches
from kubelab.cluster.taints import find_untolerated

Object = dict[str, Any]

MAX = 100.0
SPREAD_MAX_SKEW = 3  # of the default constraint over kubernetes.io/hostname

Score = Callable[[PodInfo, Sequence[NodeInfo]], list[float]]


def taint_toleration(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """Fewer intolerable PreferNoSchedule taints are better."""
    tolerations = [
        t for t in info.pod["spec"].get("tolerations") or () if t.get("effect") in (None, "", "PreferNoSchedule")
    ]
    counts = []
    for node in nodes:
        taints = [t for t in node.node["spec"].get("taints") or () if t["effect"] == "PreferNoSchedule"]
        counts.append(sum(find_untolerated([taint], tolerations) is not None for taint in taints))
    return _normalized(counts, reverse=True)


def node_affinity(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """The weights of the preferred terms that the node matches."""
    affinity = (info.pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    return _normalized([sum(p["weight"] for p in preferred if _preferred(p["preference"], n.node)) for n in nodes])


def _preferred(term: Object, node: Object) -> bool:
    """As a required term, but one without expressions matches every node."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(expression_matches(e, labels) for e in term.get("matchExpressions") or ()) and all(
        expression_matches(f, fields) for f in term.get("matchFields") or ()
    )


def spread(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """Fewer pods of the same controller are better, whatever they ask for."""
    owner = controller_of(info.pod)
    if owner is None:
        return [MAX] * len(nodes)
    weight = math.log(len(nodes) + 2)
    raw = [round(_siblings(node, owner["uid"]) * weight + SPREAD_MAX_SKEW - 1) for node in nodes]
    lowest, highest = min(raw), max(raw)
    return [MAX * (highest + lowest - value) / highest if highest else MAX for value in raw]


def _siblings(node: NodeInfo, owner: str) -> int:
    return sum(
        (controller_of(other.pod) or {}).get("uid") == owner and not is_terminating(other.pod)
        for other in node.pods.values()
    )


def least_allocated(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """The larger the share that stays free, the better."""
    return [
        _mean([MAX * max(0.0, 1 - share) for share in _shares(n, n.non_zero_requested + info.non_zero_requested)])
        for n in nodes
    ]


def balanced_allocation(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[float]:
    """The closer the shares of CPU and memory are to each other, the better."""
    scores = []
    for node in nodes:
        shares = [min(share, 1.0) for share in _shares(node, node.requested + info.requested)]
        deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
        scores.append(math.floor((1 - deviation) * MAX))
    return scores


def _shares(node: NodeInfo, requested: Amount) -> list[float]:
    pairs = (
        (requested.milli_cpu, node.allocatable.milli_cpu),
        (requested.memory, node.allocatable.memory),
    )
    return [used / total for used, total in pairs if total]


def _mean(values: list[float]) -> float:
    return math.floor(sum(values) / len(values)) if values else 0.0


def _normalized(values: Sequence[float], *, reverse: bool = False) -> list[float]:
    highest = max(values)
    if not highest:
        return [MAX if reverse else 0.0] * len(values)
    scaled = [MAX * value / highest for value in values]
    return [MAX - value for value in scaled] if reverse else scaled


SCORES: tuple[tuple[Score, int], ...] = (
    (taint_toleration, 3),
    (node_affinity, 2),
    (spread, 2),
    (least_allocated, 1),
    (balanced_allocation, 1),
)


def best(info: PodInfo, nodes: Sequence[NodeInfo]) -> list[NodeInfo]:
    """The nodes with the highest sum: one, or several that are equally good."""
    totals = [0.0] * len(nodes)
    for score, weight in SCORES:
        totals = [total + weight * value for total, value in zip(totals, score(info, nodes), strict=True)]
    highest = max(totals)
    return [node for node, total in zip(nodes, totals, strict=True) if total == highest]
