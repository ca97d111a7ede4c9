"""A pod's row in `kubectl get`: how many containers are ready, one word for its state, restarts.

Upstream: pkg/printers/internalversion/printers.go (printPod).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.apiserver.age import age, human_duration

Object = dict[str, Any]
NONE = "<none>"


def ready(pod: Object, now: float) -> str:
    spec, statuses = pod["spec"], _statuses(pod, "containerStatuses")
    sidecars = [c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    total = len(spec["containers"]) + len(sidecars)
    count = sum(bool(s.get("ready")) and "running" in (s.get("state") or {}) for s in statuses)
    count += sum(
        s["name"] in sidecars and bool(s.get("started")) and bool(s.get("ready"))
        for s in _statuses(pod, "initContainerStatuses")
    )
    return f"{count}/{total}"


def status(pod: Object, now: float) -> str:
    """The phase, or the reason that says more."""
    found = pod.get("status") or {}
    reason = found.get("reason") or found.get("phase") or "Unknown"
    for condition in found.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    initializing = _initializing(pod)
    reason = initializing or reason
    if not initializing or _initialized(pod):
        reason = _containers(pod, reason)
    if pod["metadata"].get("deletionTimestamp"):
        if found.get("reason") == "NodeLost":
            return "Unknown"
        if found.get("phase") not in ("Succeeded", "Failed"):
            return "Terminating"
    return reason


def _initialized(pod: Object) -> bool:
    """Once a pod is, a sidecar that fails does not take it back: its containers count again."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Initialized" and c["status"] == "True" for c in conditions)


def _initializing(pod: Object) -> str:
    """What the first init container that is not done yet says; "" when all are."""
    inits = {c["name"]: c for c in pod["spec"].get("initContainers") or ()}
    for index, container in enumerate(_statuses(pod, "initContainerStatuses")):
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting")
        sidecar = inits.get(container["name"], {}).get("restartPolicy") == "Always"
        if (terminated and terminated["exitCode"] == 0) or (sidecar and container.get("started")):
            continue
        if terminated:
            return "Init:" + _ended(terminated)
        if waiting and waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(inits)}"
    return ""


def _containers(pod: Object, reason: str) -> str:
    running = False
    for container in reversed(_statuses(pod, "containerStatuses")):
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated:
            reason = _ended(terminated)
        elif container.get("ready") and "running" in state:
            running = True
    if reason == "Completed" and running:
        conditions = (pod.get("status") or {}).get("conditions") or ()
        is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        return "Running" if is_ready else "NotReady"
    return reason


def _ended(terminated: Object) -> str:
    if terminated.get("reason"):
        return terminated["reason"]
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated['exitCode']}"


def restarts(pod: Object, now: float) -> str:
    """How often its containers were restarted, and how long ago the last time."""
    statuses = _statuses(pod, "containerStatuses")
    inits = {c["name"]: c for c in pod["spec"].get("initContainers") or ()}
    first = _statuses(pod, "initContainerStatuses")
    if _initializing(pod) and not _initialized(pod):
        statuses = first
    else:
        sidecars = (s for s in first if inits.get(s["name"], {}).get("restartPolicy") == "Always")
        statuses = [*statuses, *sidecars]
    count = sum(s.get("restartCount", 0) for s in statuses)
    ends = [((s.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for s in statuses]
    last = max((datetime.fromisoformat(end).timestamp() for end in ends if end), default=None)
    return f"{count} ({human_duration(now - last)} ago)" if count and last is not None else str(count)


def _ip(pod: Object, now: float) -> str:
    found = pod.get("status") or {}
    addresses = found.get("podIPs") or ()
    return addresses[0]["ip"] if addresses else found.get("podIP") or NONE


def _gates(pod: Object, now: float) -> str:
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    if not gates:
        return NONE
    true = {c["type"] for c in (pod.get("status") or {}).get("conditions") or () if c["status"] == "True"}
    return f"{sum(gate in true for gate in gates)}/{len(gates)}"


def _statuses(pod: Object, field: str) -> list[Object]:
    return (pod.get("status") or {}).get(field) or []


# name, cell, only with -o wide
COLUMNS = (
    ("Ready", ready),
    ("Status", status),
    ("Restarts", restarts),
    ("Age", lambda pod, now: age(pod["metadata"].get("creationTimestamp"), now)),
    ("IP", _ip, True),
    ("Node", lambda pod, now: pod["spec"].get("nodeName") or NONE, True),
    ("Nominated Node", lambda pod, now: (pod.get("status") or {}).get("nominatedNodeName") or NONE, True),
    ("Readiness Gates", _gates, True),
)
