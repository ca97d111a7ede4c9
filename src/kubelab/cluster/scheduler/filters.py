"""Which nodes can run a pod: one small function a rule, asked in upstream's order; each says why not.

Upstream: pkg/scheduler/framework/plugins (nodeunschedulable, nodename, tainttoleration, nodeaffinity, nodeports,
noderesources), with their messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.selectors import map_matches, node_selector_matches
from kubelab.cluster.taints import find_untolerated

Object = dict[str, Any]

UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Rejection:
    """Why a node cannot run a pod. `resolvable` where taking pods off the node could change that."""

    reasons: tuple[str, ...]
    resolvable: bool = False


Filter = Callable[[PodInfo, NodeInfo], Rejection | None]


def node_unschedulable(info: PodInfo, node: NodeInfo) -> Rejection | None:
    """A cordoned node, unless the pod tolerates it."""
    if not node.node["spec"].get("unschedulable"):
        return None
    if find_untolerated([UNSCHEDULABLE_TAINT], _tolerations(info)) is None:
        return None
    return Rejection(("node(s) were unschedulable",))


def required_name(info: PodInfo, node: NodeInfo) -> Rejection | None:
    wanted = info.pod["spec"].get("nodeName")
    if wanted and wanted != node.node["metadata"]["name"]:
        return Rejection(("node(s) didn't match the requested node name",))
    return None


def taint_toleration(info: PodInfo, node: NodeInfo) -> Rejection | None:
    taints = [t for t in node.node["spec"].get("taints") or () if t["effect"] in ("NoSchedule", "NoExecute")]
    taint = find_untolerated(taints, _tolerations(info))
    if taint is None:
        return None
    return Rejection((f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}",))


def node_affinity(info: PodInfo, node: NodeInfo) -> Rejection | None:
    """`nodeSelector` and `requiredDuringSchedulingIgnoredDuringExecution`, both of which have to match."""
    spec = info.pod["spec"]
    required = required_node_terms(spec)
    matches = map_matches(spec.get("nodeSelector") or {}, node.node["metadata"].get("labels"))
    if matches and (required is None or node_selector_matches(required, node.node)):
        return None
    return Rejection(("node(s) didn't match Pod's node affinity/selector",))


def required_node_terms(spec: Object) -> list[Object] | None:
    """The node selector terms of which one has to match; None where there is no such affinity."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required.get("nodeSelectorTerms") or []


def node_ports(info: PodInfo, node: NodeInfo) -> Rejection | None:
    taken = [port for other in node.pods.values() for port in other.host_ports]
    if any(_conflicts(wanted, port) for wanted in info.host_ports for port in taken):
        return Rejection(("node(s) didn't have free ports for the requested pod ports",), resolvable=True)
    return None


def _conflicts(a: tuple[str, str, int], b: tuple[str, str, int]) -> bool:
    return a[1:] == b[1:] and (a[0] == b[0] or "0.0.0.0" in (a[0], b[0]))


def node_resources_fit(info: PodInfo, node: NodeInfo) -> Rejection | None:
    """Requests, not use: the sum of what the pods asked for must stay below what the node can give."""
    reasons = []
    if len(node.pods) + 1 > node.allowed_pods:
        reasons.append("Too many pods")
    free = node.allocatable - node.requested
    if info.requested.milli_cpu and info.requested.milli_cpu > free.milli_cpu:
        reasons.append("Insufficient cpu")
    if info.requested.memory and info.requested.memory > free.memory:
        reasons.append("Insufficient memory")
    return Rejection(tuple(reasons), resolvable=True) if reasons else None


def _tolerations(info: PodInfo) -> Iterable[Object]:
    return info.pod["spec"].get("tolerations") or ()


FILTERS: tuple[Filter, ...] = (
    node_unschedulable,
    required_name,
    taint_toleration,
    node_affinity,
    node_ports,
    node_resources_fit,
)


def first_rejection(info: PodInfo, node: NodeInfo) -> Rejection | None:
    """The first rule that speaks against the node, or None where the pod can run there."""
    for rule in FILTERS:
        rejection = rule(info, node)
        if rejection is not None:
            return rejection
    return None
