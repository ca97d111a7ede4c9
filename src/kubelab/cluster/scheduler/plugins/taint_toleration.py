"""Taints: NoSchedule and NoExecute keep out whoever does not tolerate them, PreferNoSchedule counts against the node.

Upstream: pkg/scheduler/framework/plugins/tainttoleration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Change, Cluster, Cycle, Plugin, Rejection, normalized
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.taints import find_untolerated

Object = dict[str, Any]


class TaintToleration(Plugin):
    name = "TaintToleration"
    weight = 3

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        taint = untolerated(node.node, cycle.pod)
        if taint is None:
            return None
        return Rejection((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}",))

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """Fewer intolerable PreferNoSchedule taints are better."""
        given = cycle.pod.pod["spec"].get("tolerations") or ()
        tolerations = [t for t in given if t.get("effect") in (None, "", "PreferNoSchedule")]
        counts = []
        for node in nodes:
            taints = [t for t in node.node["spec"].get("taints") or () if t["effect"] == "PreferNoSchedule"]
            counts.append(sum(find_untolerated([taint], tolerations) is not None for taint in taints))
        return normalized(counts, reverse=True)

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        if change.what != "node" or change.new is None or untolerated(change.new, pod) is not None:
            return False
        return change.old is None or untolerated(change.old, pod) is not None


def untolerated(node: Object, info: PodInfo) -> Object | None:
    """The first taint that keeps the pod out."""
    taints = [t for t in node["spec"].get("taints") or () if t["effect"] in ("NoSchedule", "NoExecute")]
    return find_untolerated(taints, info.pod["spec"].get("tolerations") or ()) if taints else None
