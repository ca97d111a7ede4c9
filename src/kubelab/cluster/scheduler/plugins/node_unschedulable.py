"""A cordoned node takes no pods, except those that tolerate it.

Upstream: pkg/scheduler/framework/plugins/nodeunschedulable.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Change, Cluster, Cycle, Plugin, Rejection
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.taints import find_untolerated

Object = dict[str, Any]

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable(Plugin):
    name = "NodeUnschedulable"

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        if _takes(node.node, cycle.pod):
            return None
        return Rejection(("node(s) were unschedulable",))

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        if change.what != "node" or change.new is None or not _takes(change.new, pod):
            return False
        return change.old is None or not _takes(change.old, pod)


def _takes(node: Object, info: PodInfo) -> bool:
    if not node["spec"].get("unschedulable"):
        return True
    return find_untolerated([UNSCHEDULABLE_TAINT], info.pod["spec"].get("tolerations") or ()) is None
