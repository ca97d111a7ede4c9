"""A pod that names its node goes there or nowhere. Upstream: pkg/scheduler/framework/plugins/nodename."""

from __future__ import annotations

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Change, Cluster, Cycle, Plugin, Rejection
from kubelab.cluster.scheduler.requests import PodInfo


class NodeName(Plugin):
    name = "NodeName"

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        wanted = cycle.pod.pod["spec"].get("nodeName")
        if wanted and wanted != node.name:
            return Rejection(("node(s) didn't match the requested node name",))
        return None

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        return change.what == "node" and change.old is None
