"""What the scheduler knows of the nodes: who runs there, how much is taken, and what it has just decided itself.

Upstream: pkg/scheduler/internal/cache and framework/types.go (NodeInfo). A pod is *assumed* on its node from the
decision until the watch shows it bound, so that the next pod is not put into the same gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubelab.cluster.pods import is_terminal, node_name
from kubelab.cluster.scheduler.requests import NOTHING, Amount, PodInfo, allocatable

Object = dict[str, Any]


@dataclass
class NodeInfo:
    """A node and the pods on it. `node` is None while pods are known of a node that is not (or no more)."""

    node: Object | None = None
    allocatable: Amount = NOTHING
    allowed_pods: int = 0
    pods: dict[str, PodInfo] = field(default_factory=dict)  # by UID
    with_affinity: dict[str, PodInfo] = field(default_factory=dict)  # those that have a say about other pods
    requested: Amount = NOTHING
    non_zero_requested: Amount = NOTHING

    @property
    def name(self) -> str:
        return self.node["metadata"]["name"]

    @property
    def labels(self) -> Mapping[str, str]:
        return self.node["metadata"].get("labels") or {}

    def set_node(self, node: Object) -> None:
        self.node = node
        self.allocatable, self.allowed_pods = allocatable(node)

    def copy(self) -> NodeInfo:
        """To try out what would be, with other pods."""
        return replace(self, pods=dict(self.pods), with_affinity=dict(self.with_affinity))

    def add(self, info: PodInfo) -> None:
        self.pods[info.uid] = info
        if info.has_affinity:
            self.with_affinity[info.uid] = info
        self.requested += info.requested
        self.non_zero_requested += info.non_zero_requested

    def remove(self, uid: str) -> None:
        info = self.pods.pop(uid)
        self.with_affinity.pop(uid, None)
        self.requested -= info.requested
        self.non_zero_requested -= info.non_zero_requested


class Cache:
    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._where: dict[str, str] = {}  # UID of a pod: its node
        self._assumed: set[str] = set()

    def nodes(self) -> list[NodeInfo]:
        """The nodes there are, in the order of their names."""
        return [info for _, info in sorted(self._nodes.items()) if info.node is not None]

    def set_node(self, node: Object) -> None:
        self._nodes.setdefault(node["metadata"]["name"], NodeInfo()).set_node(node)

    def remove_node(self, name: str) -> None:
        info = self._nodes.get(name)
        if info is not None:
            info.node = None
            self._tidy(name)

    def is_assumed(self, uid: str) -> bool:
        return uid in self._assumed

    def assume(self, info: PodInfo, node: str) -> None:
        """Count the pod on `node` before the API says so."""
        uid = info.pod["metadata"]["uid"]
        self._assumed.add(uid)
        self._place(uid, info, node)

    def forget(self, uid: str) -> None:
        """The binding failed."""
        if uid in self._assumed:
            self.remove_pod(uid)

    def set_pod(self, pod: Object) -> None:
        """A pod that the API shows on a node; a finished one takes nothing."""
        uid = pod["metadata"]["uid"]
        self._assumed.discard(uid)
        if is_terminal(pod):
            self.remove_pod(uid)
        else:
            self._place(uid, PodInfo.of(pod), node_name(pod))

    def remove_pod(self, uid: str) -> None:
        self._assumed.discard(uid)
        node = self._where.pop(uid, None)
        if node is not None:
            self._nodes[node].remove(uid)
            self._tidy(node)

    def _place(self, uid: str, info: PodInfo, node: str) -> None:
        if uid in self._where:
            self._nodes[self._where[uid]].remove(uid)
        self._nodes.setdefault(node, NodeInfo()).add(info)
        self._where[uid] = node

    def _tidy(self, name: str) -> None:
        if self._nodes[name].node is None and not self._nodes[name].pods:
            del self._nodes[name]
