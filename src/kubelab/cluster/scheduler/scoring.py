"""Which of the nodes that can run a pod is best: each rule gives 0 to 100, the weighted sum decides.

Upstream: prioritizeNodes and selectHost in pkg/scheduler/schedule_one.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Cycle
from kubelab.cluster.scheduler.plugins import PLUGINS


def best(cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[NodeInfo]:
    """The nodes with the highest sum: one, or several that are equally good."""
    totals = [0] * len(nodes)
    for plugin in PLUGINS:
        if plugin.weight:
            scores = plugin.score(cycle, nodes)
            totals = [total + plugin.weight * score for total, score in zip(totals, scores, strict=True)]
    highest = max(totals)
    return [node for node, total in zip(nodes, totals, strict=True) if total == highest]
