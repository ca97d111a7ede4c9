"""What a pod's status says, in the words that `kubectl get pods` uses.

Upstream: pkg/printers/internalversion/printers.go, printPod. Pods are plain dicts, as in YAML.
"""

from __future__ import annotations

from typing import Any

Pod = dict[str, Any]


def name(pod: Pod) -> str:
    return pod["metadata"]["name"]


def container_statuses(pod: Pod) -> list[dict[str, Any]]:
    return pod.get("status", {}).get("containerStatuses") or []


def restarts(pod: Pod) -> int:
    return sum(status.get("restartCount", 0) for status in container_statuses(pod))


def is_ready(pod: Pod) -> bool:
    """The condition Ready, which also decides whether services send it requests. A pod being deleted is not."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not is_terminating(pod)


def is_terminating(pod: Pod) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def ready_containers(pod: Pod) -> str:
    """ "1/2": containers ready, of all."""
    return f"{sum(bool(status.get('ready')) for status in container_statuses(pod))}/{len(pod['spec']['containers'])}"


def status(pod: Pod) -> str:
    """The STATUS column: the phase, unless a container or the deletion says more."""
    reason = pod.get("status", {}).get("reason") or pod.get("status", {}).get("phase", "Pending")
    running = False
    for container in container_statuses(pod):
        state = container.get("state") or {}
        if "waiting" in state and state["waiting"].get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            ended = state["terminated"]
            reason = ended.get("reason") or (
                f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"
            )
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        reason = "Running" if is_ready(pod) else "NotReady"
    if is_terminating(pod):
        return "Unknown" if pod.get("status", {}).get("reason") == "NodeLost" else "Terminating"
    return reason


def last_exit(pod: Pod) -> str:
    """Why a container ended last: "Error (exit code 1)", or "" where none has."""
    for container in container_statuses(pod):
        for state in (container.get("state") or {}, container.get("lastState") or {}):
            if ended := state.get("terminated"):
                return f"{ended.get('reason', 'Unknown')} (exit code {ended.get('exitCode', 0)})"
    return ""


def node(pod: Pod) -> str:
    return pod["spec"].get("nodeName", "")
