"""Two pods cannot have the same port of a node. Upstream: pkg/scheduler/framework/plugins/nodeports."""

from __future__ import annotations

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Change, Cluster, Cycle, Plugin, Rejection
from kubelab.cluster.scheduler.requests import PodInfo

Port = tuple[str, str, int]


class NodePorts(Plugin):
    name = "NodePorts"

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        if cycle.pod.host_ports and any(conflict(cycle.pod, other) for other in node.pods.values()):
            return Rejection(("node(s) didn't have free ports for the requested pod ports",), resolvable=True)
        return None

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        if change.what == "node":
            return change.old is None
        return change.new is None and change.old is not None and conflict(pod, PodInfo.of(change.old))


def conflict(a: PodInfo, b: PodInfo) -> bool:
    """Whether both want one port of a node."""
    return any(_same(one, other) for one in a.host_ports for other in b.host_ports)


def _same(a: Port, b: Port) -> bool:
    return a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0]))
