"""Nodes with pods, and a pod's cycle over them, for tests of the scheduler's rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.filtering import feasible_nodes
from kubelab.cluster.scheduler.framework import Cycle, Rejection
from kubelab.cluster.scheduler.nominator import Nominator
from kubelab.cluster.scheduler.requests import PodInfo

Object = dict[str, Any]


class FakeCluster:
    """Namespaces with labels, one selector for all pods that have no constraints of their own, and budgets."""

    def __init__(
        self,
        namespaces: Mapping[str, Mapping[str, str]] | None = None,
        selector: Object | None = None,
        budgets: Sequence[Object] = (),
    ):
        self.namespaces, self.selector, self.budgets = namespaces or {}, selector, budgets

    def disruption_budgets(self) -> Sequence[Object]:
        return self.budgets

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        return self.namespaces.get(namespace, {})

    def default_selector(self, pod: Object) -> Object | None:
        return self.selector


def node_info(node: Object, *pods: Object) -> NodeInfo:
    info = NodeInfo()
    info.set_node(node)
    for pod in pods:
        info.add(PodInfo.of(pod))
    return info


def cycle_of(pod: Object, *nodes: NodeInfo, cluster: FakeCluster | None = None) -> Cycle:
    return Cycle(PodInfo.of(pod), nodes, cluster or FakeCluster())


def rejections(pod: Object, *nodes: NodeInfo, cluster: FakeCluster | None = None) -> dict[str, Rejection]:
    return feasible_nodes(cycle_of(pod, *nodes, cluster=cluster), Nominator())[1]


def reasons(pod: Object, *nodes: NodeInfo, cluster: FakeCluster | None = None) -> dict[str, tuple[str, ...]]:
    """By node, for those that cannot run the pod."""
    return {name: rejection.reasons for name, rejection in rejections(pod, *nodes, cluster=cluster).items()}
