"""Pods that this node cannot run: they are refused, not run as something else than they ask for.

Upstream: canAdmitPod and rejectPod in pkg/kubelet/kubelet.go; pkg/kubelet/lifecycle/predicate.go, which like this file
takes the scheduler's own sums.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelab.cluster.kubelet import sysctls
from kubelab.cluster.kubelet.podutil import Pod
from kubelab.cluster.scheduler.requests import NOTHING, Amount, allocatable, pod_requests

REJECTED = "Pod was rejected: "  # in the status; the event goes without
UNSUPPORTED = ("hostNetwork", "hostPID", "hostIPC")


def reject(pod: Pod) -> tuple[str, str] | None:
    """Reason and message for the pod's status, or None where it may run."""
    asked = [field for field in UNSUPPORTED if pod["spec"].get(field)]
    if asked:
        return "UnsupportedPodSpec", f"{REJECTED}spec.{asked[0]} is not supported by this node"
    if problem := sysctls.forbidden(pod):
        return "SysctlForbidden", f"{REJECTED}{problem}"
    return None


def overload(pod: Pod, others: Iterable[Pod], resources: dict[str, str]) -> tuple[str, str] | None:
    """The same for a pod that is new here, beside those that were admitted: `resources` is what the node has to give.

    A pod that the scheduler has placed fits; one that names its node itself may not.
    """
    others = list(others)
    given, most_pods = allocatable({"status": {"allocatable": resources}})
    if len(others) + 1 > most_pods:
        return _out_of("pods", 1, len(others), most_pods)
    wanted, used = pod_requests(pod), sum(map(pod_requests, others), NOTHING)
    for name in ("cpu", "memory", *wanted.others):
        asked, taken, there = (_of(amount, name) for amount in (wanted, used, given))
        if asked and asked > there - taken:
            return _out_of(name, asked, taken, there)
    return None


def _of(amount: Amount, name: str) -> int:
    return {"cpu": amount.milli_cpu, "memory": amount.memory}.get(name, amount.others.get(name, 0))


def _out_of(name: str, asked: int, used: int, capacity: int) -> tuple[str, str]:
    """In thousandths of a core, bytes, or pieces."""
    amounts = f"requested: {asked}, used: {used}, capacity: {capacity}"
    return f"OutOf{name}", f"{REJECTED}Node didn't have enough resource: {name}, {amounts}"
