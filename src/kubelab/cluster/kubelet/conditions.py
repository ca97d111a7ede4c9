"""A pod's conditions, from its containers' statuses.

Upstream: pkg/kubelet/status/generate.go. Each function gives one condition without times; the status manager adds them.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Pod

Condition = dict[str, Any]

OWNED = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", "DisruptionTarget")


def condition(kind: str, status: bool, reason: str = "", message: str = "") -> Condition:
    made: Condition = {"type": kind, "status": "True" if status else "False"}
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    return made


def disrupt(status: dict[str, Any], message: str) -> None:
    """The kubelet itself ends the pod, to save the node (DisruptionTarget)."""
    made = condition("DisruptionTarget", True, "TerminationByKubelet", message)
    status["conditions"] = [c for c in status["conditions"] if c["type"] != made["type"]] + [made]


def find(conditions: list[Condition], kind: str) -> Condition | None:
    return next((c for c in conditions if c["type"] == kind), None)


def generate(pod: Pod, status: dict[str, Any], sandbox_ready: bool) -> list[Condition]:
    """The kubelet's own conditions for `status`, which holds phase and container statuses already.

    `status["conditions"]` holds those of others, readiness gates among them.
    """
    return [
        condition("PodReadyToStartContainers", sandbox_ready),
        initialized(pod, status),
        ready(pod, status),
        containers_ready(pod, status),
        condition("PodScheduled", True),
    ]


def containers_ready(pod: Pod, status: dict[str, Any]) -> Condition:
    kind, phase = "ContainersReady", status.get("phase")
    statuses = _all_statuses(status)
    wanted = [c["name"] for c in podutil.init_containers(pod) if podutil.is_sidecar(c)]
    wanted += [c["name"] for c in podutil.containers(pod)]
    unknown = [name for name in wanted if name not in statuses]
    unready = [name for name in wanted if name in statuses and not statuses[name].get("ready")]
    if phase == "Succeeded" and not unknown:
        return condition(kind, False, "PodCompleted")
    if phase == "Failed":
        return condition(kind, False, "PodFailed")
    message = _message(unknown, "unready", unready)
    return condition(kind, not message, "ContainersNotReady" if message else "", message)


def ready(pod: Pod, status: dict[str, Any]) -> Condition:
    """Ready is ContainersReady and every readiness gate."""
    of_containers = containers_ready(pod, status)
    if of_containers["status"] != "True":
        return {**of_containers, "type": "Ready"}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        kind = gate["conditionType"]
        found = find(status.get("conditions", []), kind)
        if found is None:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found["status"] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {found["status"]}')
    return condition("Ready", not messages, "ReadinessGatesNotReady" if messages else "", ", ".join(messages))


def initialized(pod: Pod, status: dict[str, Any]) -> Condition:
    kind, statuses = "Initialized", _all_statuses(status)
    names = [c["name"] for c in podutil.init_containers(pod)]
    unknown = [name for name in names if name not in statuses]
    incomplete = [
        c["name"]
        for c in podutil.init_containers(pod)
        if c["name"] in statuses and not statuses[c["name"]].get("started" if podutil.is_sidecar(c) else "ready")
    ]
    if status.get("phase") == "Succeeded" and not unknown:
        return condition(kind, True, "PodCompleted")
    if _regular_started(pod, statuses):
        return condition(kind, True)
    message = _message(unknown, "incomplete", incomplete)
    return condition(kind, not message, "ContainersNotInitialized" if message else "", message)


def _regular_started(pod: Pod, statuses: dict[str, Any]) -> bool:
    """Whether a container of the pod itself was ever started; then it was initialized once."""
    for container in podutil.containers(pod):
        status = statuses.get(container["name"], {})
        if status.get("lastState", {}).get("terminated"):
            return True
        if any(status.get("state", {}).get(kind) for kind in ("running", "terminated")):
            return True
    return False


def _all_statuses(status: dict[str, Any]) -> dict[str, Any]:
    both = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
    return {s["name"]: s for s in both}


def _message(unknown: list[str], word: str, others: list[str]) -> str:
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if others:
        messages.append(f"containers with {word} status: [{' '.join(others)}]")
    return ", ".join(messages)
