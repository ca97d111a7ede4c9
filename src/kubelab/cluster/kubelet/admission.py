"""Pods that this node cannot run: they are refused, not run as something else than they ask for.

Upstream: canAdmitPod and rejectPod in pkg/kubelet/kubelet.go; pkg/kubelet/lifecycle/predicate.go and AdmissionCheck in
pkg/scheduler/eventhandlers.go, which like this file take the scheduler's own rules. `UnexpectedAdmissionError` has no
place here: it tells of device plugins, of which there are none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelab.cluster.kubelet import machine, sysctls
from kubelab.cluster.kubelet.podutil import Pod
from kubelab.cluster.scheduler.plugins.node_affinity import matches_node
from kubelab.cluster.scheduler.plugins.node_ports import conflict
from kubelab.cluster.scheduler.requests import NOTHING, Amount, PodInfo, allocatable, pod_requests
from kubelab.cluster.taints import find_untolerated

Why = tuple[str, str]  # reason and message for the pod's status

REJECTED = "Pod was rejected: "  # in the status; the event goes without
UNSUPPORTED = ("hostNetwork", "hostPID", "hostIPC")
OF_THE_NODE = ("NodeAffinity", "TaintToleration")  # refusals that what was last read of the node may be too old for


def reject(pod: Pod) -> Why | None:
    """What no node could run, or None where it may run."""
    spec = pod["spec"]
    asked = [field for field in UNSUPPORTED if spec.get(field)]
    if asked:
        return "UnsupportedPodSpec", f"{REJECTED}spec.{asked[0]} is not supported by this node"
    if problem := sysctls.forbidden(pod):
        return "SysctlForbidden", f"{REJECTED}{problem}"
    if (spec.get("os") or {}).get("name", machine.operating_system()) != machine.operating_system():
        return "PodOSNotSupported", f"{REJECTED}Failed to admit pod as the OS field doesn't match node OS"
    if (spec.get("securityContext") or {}).get("supplementalGroupsPolicy") == "Strict":
        message = f"{REJECTED}SupplementalGroupsPolicy=Strict is not supported in this node"
        return "SupplementalGroupsPolicyNotSupported", message
    return None


def misfit(pod: Pod, others: Iterable[Pod], node: dict[str, Any]) -> Why | None:
    """The same for a pod that is new here, beside those that were admitted: `node` is the Node object.

    A pod that the scheduler has placed fits; one that names its node itself may not.
    """
    others = list(others)
    return _overload(pod, others, node) or _unwanted(pod, others, node)


def _overload(pod: Pod, others: list[Pod], node: dict[str, Any]) -> Why | None:
    """A resource that the node does not have at all is the cluster's, not the node's: nobody asks for it here."""
    given, most_pods = allocatable(node)
    if len(others) + 1 > most_pods:
        return _out_of("pods", 1, len(others), most_pods)
    wanted, used = pod_requests(pod), sum(map(pod_requests, others), NOTHING)
    for name in ("cpu", "memory", *(name for name in wanted.others if "/" not in name or name in given.others)):
        asked, taken, there = (_of(amount, name) for amount in (wanted, used, given))
        if asked and asked > there - taken:
            return _out_of(name, asked, taken, there)
    return None


def _unwanted(pod: Pod, others: list[Pod], node: dict[str, Any]) -> Why | None:
    info = PodInfo.of(pod)
    if not matches_node(info, node):
        return _predicate("NodeAffinity", "node(s) didn't match Pod's node affinity/selector")
    if any(conflict(info, PodInfo.of(other)) for other in others):
        return _predicate("NodePorts", "node(s) didn't have free ports for the requested pod ports")
    taints = [taint for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"]
    if find_untolerated(taints, pod["spec"].get("tolerations") or ()) is not None:
        return _predicate("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _predicate(name: str, problem: str) -> Why:
    return name, f"{REJECTED}Predicate {name} failed: {problem}"


def _of(amount: Amount, name: str) -> int:
    return {"cpu": amount.milli_cpu, "memory": amount.memory}.get(name, amount.others.get(name, 0))


def _out_of(name: str, asked: int, used: int, capacity: int) -> Why:
    """In thousandths of a core, bytes, or pieces."""
    amounts = f"requested: {asked}, used: {used}, capacity: {capacity}"
    return f"OutOf{name}", f"{REJECTED}Node didn't have enough resource: {name}, {amounts}"
