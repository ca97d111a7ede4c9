"""A pod's phase, from its containers' statuses: Pending, Running, Succeeded or Failed.

Upstream: getPhase in pkg/kubelet/kubelet_pods.go. What is counted there in five variables is a `Counter` here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Pod


def get_phase(pod: Pod, statuses: list[dict[str, Any]], *, terminal: bool, initialized: bool) -> str:
    """`statuses` are all container statuses; `terminal`: nothing of the pod will run again, whatever its policy;
    `initialized`: one of the pod's own containers was started before."""
    by_name = {s["name"]: s for s in statuses}
    init, sidecars, own = _count_init(pod, by_name), _count_sidecars(pod, by_name), _count_own(pod, by_name)
    if init["failed"] and podutil.restart_policy(pod) == "Never":
        return "Failed"
    if init["pending"] or (sidecars["pending"] and not initialized):
        return "Pending"
    running, waiting = sidecars["running"] + own["running"], sidecars["waiting"] + own["waiting"]
    if waiting or sidecars["unknown"] or own["unknown"]:
        return "Pending"
    if running:
        return "Running"
    return _phase_of_stopped(pod, own, terminal) if own["stopped"] else "Pending"


def _phase_of_stopped(pod: Pod, own: Counter[str], terminal: bool) -> str:
    """All of the pod's own containers have stopped: it ends where none of them will be started again."""
    policy = podutil.restart_policy(pod)
    if policy == "Always" and not terminal:
        return "Running"
    if own["stopped"] == own["succeeded"]:
        return "Succeeded"
    return "Failed" if terminal or policy == "Never" else "Running"


def _last_exit(status: dict[str, Any]) -> dict[str, Any] | None:
    """How the container ended, where it has ended and is not running again."""
    if "running" in status["state"]:
        return None
    return status["state"].get("terminated") or status.get("lastState", {}).get("terminated")


def _count_init(pod: Pod, by_name: dict[str, Any]) -> Counter[str]:
    count: Counter[str] = Counter()
    for container in podutil.init_containers(pod):
        if podutil.is_sidecar(container):
            continue
        status = by_name.get(container["name"])
        ended = _last_exit(status) if status else None
        if ended is None:
            count["pending"] += 1
        elif ended["exitCode"] != 0:
            count["failed"] += 1
    return count


def _count_sidecars(pod: Pod, by_name: dict[str, Any]) -> Counter[str]:
    """One that has ended counts for nothing: it is either being started again, or the pod is at its end."""
    count: Counter[str] = Counter()
    for container in podutil.init_containers(pod):
        if not podutil.is_sidecar(container):
            continue
        status = by_name.get(container["name"])
        if status is None:
            count["unknown"] += 1
        elif "running" in status["state"]:
            count["running"] += 1
            count["pending"] += not status.get("started")
        elif _last_exit(status) is None:
            count["waiting"] += 1
            count["pending"] += 1
    return count


def _count_own(pod: Pod, by_name: dict[str, Any]) -> Counter[str]:
    count: Counter[str] = Counter()
    for container in podutil.containers(pod):
        status = by_name.get(container["name"])
        if status is None:
            count["unknown"] += 1
        elif "running" in status["state"]:
            count["running"] += 1
        elif (ended := _last_exit(status)) is not None:
            count["stopped"] += 1
            count["succeeded"] += "terminated" in status["state"] and ended["exitCode"] == 0
        else:
            count["waiting"] += 1
    return count
