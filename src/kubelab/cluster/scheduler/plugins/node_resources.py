"""Requests, not use: what pods ask for must fit into what the node can give; emptier and evener nodes are better.

Upstream: pkg/scheduler/framework/plugins/noderesources (fit.go, least_allocated.go, balanced_allocation.go).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubelab.cluster.pods import is_terminal
from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.framework import MAX_SCORE, Change, Cluster, Cycle, Plugin, Rejection
from kubelab.cluster.scheduler.requests import Amount, PodInfo, allocatable, pod_requests


class NodeResourcesFit(Plugin):
    name = "NodeResourcesFit"
    weight = 1

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        """What even the empty node could not give is not worth a preemption."""
        reasons, hopeless = [], False
        if len(node.pods) + 1 > node.allowed_pods:
            reasons.append("Too many pods")
        for name, wanted, used, total in _wanted(cycle.pod.requested, node.requested, node.allocatable):
            if wanted > total - used:
                reasons.append(f"Insufficient {name}")
                hopeless = hopeless or wanted > total
        return Rejection(tuple(reasons), resolvable=not hopeless) if reasons else None

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """The larger the share that stays free, the better (LeastAllocated)."""
        return [_mean([_free(used, total) for used, total in _non_zero(cycle.pod, node) if total]) for node in nodes]

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        """A pod went or asks for less, or a node has more to give than before and enough for the pod alone."""
        if change.what == "pod":
            if change.old is None:
                return False
            return change.new is None or is_terminal(change.new) or _gives_back(change.old, change.new)
        if change.new is None:
            return False
        offered, pods = allocatable(change.new)
        if not pods or any(wanted > total for _, wanted, _, total in _wanted(pod.requested, Amount(), offered)):
            return False
        return change.old is None or (offered, pods) != allocatable(change.old)


class NodeResourcesBalancedAllocation(Plugin):
    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """The closer the shares of CPU and memory are to each other, the better."""
        scores = []
        for node in nodes:
            requested, total = node.requested + cycle.pod.requested, node.allocatable
            pairs = ((requested.milli_cpu, total.milli_cpu), (requested.memory, total.memory))
            shares = [min(used / capacity, 1.0) for used, capacity in pairs if capacity]
            deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
            scores.append(int((1 - deviation) * MAX_SCORE))
        return scores


def _wanted(request: Amount, used: Amount, total: Amount) -> Iterator[tuple[str, int, int, int]]:
    """(name, asked for, taken, capacity) of each resource that is asked for at all."""
    if request.milli_cpu:
        yield "cpu", request.milli_cpu, used.milli_cpu, total.milli_cpu
    if request.memory:
        yield "memory", request.memory, used.memory, total.memory
    for name, amount in request.others.items():
        yield name, amount, used.others.get(name, 0), total.others.get(name, 0)


def _non_zero(info: PodInfo, node: NodeInfo) -> tuple[tuple[int, int], ...]:
    """(taken, capacity) of CPU and memory, the pod included; a container without requests counts with a little."""
    used = node.non_zero_requested + info.non_zero_requested
    return (used.milli_cpu, node.allocatable.milli_cpu), (used.memory, node.allocatable.memory)


def _free(used: int, total: int) -> int:
    return (total - used) * MAX_SCORE // total if used <= total else 0


def _mean(values: list[int]) -> int:
    return sum(values) // len(values) if values else 0


def _gives_back(old: dict, new: dict) -> bool:
    before, after = pod_requests(old), pod_requests(new)
    return any(left > 0 for _, left, _, _ in _wanted(before - after, Amount(), Amount()))
