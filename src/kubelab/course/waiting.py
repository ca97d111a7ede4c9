"""Wait for something to become true of the cluster: by watching, with a deadline, and a message when it did not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3

from . import pods as podstatus
from .errors import NotInTime, engines_do_not_answer
from .watching import Object, Snapshot, snapshots

Condition = Callable[[list[Object]], bool]


def is_pod(obj: Object) -> bool:
    return "containers" in obj["spec"]  # the items of a list carry no kind


def has_condition(obj: Object, kind: str) -> bool:
    if is_pod(obj) and kind == "Ready":
        return podstatus.is_ready(obj)
    conditions = obj.get("status", {}).get("conditions") or []
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)


def up_to_date(obj: Object) -> bool:
    """Whether the controller has seen the newest spec and every copy is available: what `kubectl rollout status` asks.

    Of a Deployment only the copies of the newest template count; a ReplicaSet does not tell old from new.
    """
    status = obj.get("status", {})
    wanted = obj["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return False
    new = status.get("updatedReplicas", 0) if "strategy" in obj["spec"] else wanted
    return new == wanted == status.get("replicas", 0) == status.get("availableReplicas", 0)


def restarted(obj: Object, times: int) -> bool:
    """Whether its containers have been restarted that often, and run again."""
    return podstatus.restarts(obj) >= times and all(
        "running" in (s.get("state") or {}) for s in podstatus.container_statuses(obj)
    )


def until(
    list_function: Callable[..., Any], *arguments: Any, condition: Condition, what: str, timeout: float, **options: Any
) -> tuple[list[Object], float]:
    """The objects as soon as `condition` holds for them, and the seconds it took. NotInTime after `timeout` seconds."""
    began = time.monotonic()
    last: Snapshot = {}
    try:
        for last in snapshots(list_function, *arguments, stop=threading.Event(), deadline=began + timeout, **options):
            if condition(list(last.values())):
                return list(last.values()), time.monotonic() - began
    except urllib3.exceptions.HTTPError as error:
        raise engines_do_not_answer("the API server", error) from error
    raise NotInTime(f"Waited {timeout:g} s in vain for {what}. {describe(last)} Next: `lab.pods()`, `lab.events()`.")


def describe(objects: Snapshot) -> str:
    """How things stood when the time was up."""
    if not objects:
        return "There is no such object."
    return "Now: " + "; ".join(f"{name} {_state(obj)}" for name, obj in sorted(objects.items())) + "."


def _state(obj: Object) -> str:
    if "spec" not in obj:
        return "is there"
    if "containers" not in obj["spec"] and "replicas" not in obj["spec"]:
        return f"in phase {obj.get('status', {}).get('phase', 'unknown')}"
    if is_pod(obj):
        return f"{podstatus.status(obj)}, ready {podstatus.ready_containers(obj)}, restarts {podstatus.restarts(obj)}"
    status = obj.get("status", {})
    return f"{status.get('readyReplicas', 0)} of {obj.get('spec', {}).get('replicas', 0)} ready"
