"""What the control plane asks of a pod: is it ready, available, active; whose is it.

Upstream: pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go. A pod is the API's plain dict.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster import times

Object = dict[str, Any]


def condition(obj: Object, type: str) -> Object | None:
    """One of the object's `status.conditions`."""
    for candidate in obj.get("status", {}).get("conditions") or ():
        if candidate["type"] == type:
            return candidate
    return None


def phase(pod: Object) -> str:
    return pod.get("status", {}).get("phase") or "Pending"


def is_terminal(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_terminating(obj: Object) -> bool:
    return bool(obj["metadata"].get("deletionTimestamp"))


def is_active(pod: Object) -> bool:
    """Counts as a replica: neither finished nor being deleted."""
    return not is_terminal(pod) and not is_terminating(pod)


def is_ready(pod: Object) -> bool:
    ready = condition(pod, "Ready")
    return ready is not None and ready["status"] == "True"


def is_available(pod: Object, min_ready_seconds: int, now: datetime) -> bool:
    """Ready, and for at least `min_ready_seconds`."""
    ready = condition(pod, "Ready")
    if ready is None or ready["status"] != "True":
        return False
    if not min_ready_seconds:
        return True
    since = ready.get("lastTransitionTime")
    return bool(since) and (now - times.parse(since)).total_seconds() >= min_ready_seconds


def node_name(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def controller_of(obj: Object) -> Object | None:
    """The owner reference that says `controller: true`."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def restarts(pod: Object) -> int:
    """The most restarts that one of the pod's containers has had."""
    return max((s.get("restartCount", 0) for s in pod.get("status", {}).get("containerStatuses") or ()), default=0)
