"""Whom the kernel kills first when the whole machine is short of memory: a container's oom_score_adj.

Upstream: pkg/kubelet/qos/policy.go. Only root may lower a process's score below its parent's, so for an ordinary user
that of a Guaranteed pod stays as it is (see `kubelab.runtime.process`); the others are raised for everybody.
"""

from __future__ import annotations

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod

GUARANTEED, BEST_EFFORT = -997, 1000
NODE_CRITICAL = "system-node-critical"


def oom_score_adj(pod: Pod, container: Container, capacity: int) -> int:
    """`capacity` is the node's memory in bytes. Of Burstable pods, those that ask for more memory are spared longer."""
    quality = pod.get("status", {}).get("qosClass", "BestEffort")
    if quality == "Guaranteed" or pod["spec"].get("priorityClassName") == NODE_CRITICAL:
        return GUARANTEED
    if quality == "BestEffort":
        return BEST_EFFORT
    asked = _memory(container)
    if podutil.is_sidecar(container):  # is to live as long as those that it helps
        asked = max(asked, min(map(_memory, podutil.containers(pod)), default=0))
    return min(max(1000 - 1000 * asked // capacity, 1000 + GUARANTEED), BEST_EFFORT - 1)


def _memory(container: Container) -> int:
    """Of its requests, in bytes."""
    return int(quantity.parse(((container.get("resources") or {}).get("requests") or {}).get("memory", "0")))
