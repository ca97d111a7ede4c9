"""Which nodes can run a pod, and what each of the others has against it.

Upstream: findNodesThatFitPod and RunFilterPluginsWithNominatedPods in pkg/scheduler. A node is asked twice where pods
that have preempted others wait for it: with them, since they will come, and without, since they may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import Cycle, Rejection
from kubelab.cluster.scheduler.nominator import Nominator
from kubelab.cluster.scheduler.plugins import PLUGINS
from kubelab.cluster.scheduler.plugins.node_affinity import named_nodes
from kubelab.cluster.scheduler.requests import PodInfo

NOT_NAMED = Rejection(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), plugin="NodeAffinity")
Rejections = dict[str, Rejection]  # by the node's name


def feasible_nodes(cycle: Cycle, nominator: Nominator) -> tuple[list[NodeInfo], Rejections]:
    """(nodes that can run the pod, why not for each of the others)."""
    allowed = named_nodes(cycle.pod)
    if allowed is not None and not allowed:
        conflict = Rejection(("pod affinity terms conflict",), plugin="NodeAffinity")
        return [], {node.name: conflict for node in cycle.nodes}
    feasible, rejections = [], {}
    for node in cycle.nodes:
        if allowed is not None and node.name not in allowed:
            rejections[node.name] = NOT_NAMED
            continue
        rejection = rejection_with_nominated(cycle, node, nominator.on(node.name))
        if rejection is None:
            feasible.append(node)
        else:
            rejections[node.name] = rejection
    return feasible, rejections


def rejection_with_nominated(cycle: Cycle, node: NodeInfo, nominated: Iterable[PodInfo]) -> Rejection | None:
    """As `first_rejection`, where pods that are at least as important and nominated for the node count as there."""
    coming = [n for n in nominated if n.priority >= cycle.pod.priority and n.uid != cycle.pod.uid]
    if coming:
        fuller = node.copy()
        for info in coming:
            fuller.add(info)
        rejection = first_rejection(cycle.with_node(fuller), fuller)
        if rejection is not None:
            return rejection
    return first_rejection(cycle, node)


def first_rejection(cycle: Cycle, node: NodeInfo) -> Rejection | None:
    """What the first rule that speaks against the node says, or None where the pod can run there."""
    for plugin in PLUGINS:
        rejection = plugin.filter(cycle, node)
        if rejection is not None:
            return replace(rejection, plugin=plugin.name)
    return None
