"""A deployment's status: counts, and the conditions Available, Progressing and ReplicaFailure.

Upstream: calculateStatus in pkg/controller/deployment/sync.go, progress.go, and the conditions of
util/deployment_util.go. `kubectl rollout status` reads exactly these.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster import times
from kubelab.cluster.controllers.deployment.strategy import deadline, max_unavailable, size, status_sum
from kubelab.cluster.pods import condition

Object = dict[str, Any]

NEW_SET_CREATED, NEW_SET_FOUND = "NewReplicaSetCreated", "FoundNewReplicaSet"
SET_UPDATED, SET_AVAILABLE = "ReplicaSetUpdated", "NewReplicaSetAvailable"
CREATE_FAILED = "ReplicaSetCreateError"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED, RESUMED = "DeploymentPaused", "DeploymentResumed"


def set_condition(status: Object, type: str, truth: str, reason: str, message: str, now: datetime) -> bool:
    """Put a condition in place, unless one of the same status and reason is there; whether it changed.

    `lastTransitionTime` stays while the status stays.
    """
    current = condition({"status": status}, type)
    if current is not None and (current["status"], current.get("reason")) == (truth, reason):
        return False
    stamp = times.timestamp(now)
    since = current["lastTransitionTime"] if current is not None and current["status"] == truth else stamp
    new = {
        "type": type,
        "status": truth,
        "reason": reason,
        "message": message,
        "lastUpdateTime": stamp,
        "lastTransitionTime": since,
    }
    remove_condition(status, type)
    status["conditions"] = [*status.get("conditions", []), new]
    return True


def remove_condition(status: Object, type: str) -> None:
    kept = [c for c in status.get("conditions") or () if c["type"] != type]
    status.pop("conditions", None)
    if kept:
        status["conditions"] = kept


def calculate(deployment: Object, all_sets: list[Object], new_set: Object | None, now: datetime) -> Object:
    """Counts and Available; the other conditions are carried over."""
    old, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    available = status_sum(all_sets, "availableReplicas")
    total = status_sum(all_sets, "replicas")
    counts = {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total,
        "updatedReplicas": status_sum([new_set] if new_set else [], "replicas"),
        "readyReplicas": status_sum(all_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(sum(size(s) for s in all_sets) - available, 0),
        "collisionCount": old.get("collisionCount", 0),
    }
    status: Object = {name: count for name, count in counts.items() if count}
    if old.get("conditions"):
        status["conditions"] = list(old["conditions"])
    if available >= wanted - max_unavailable(deployment):
        reason, message = "MinimumReplicasAvailable", "Deployment has minimum availability."
        set_condition(status, "Available", "True", reason, message, now)
    else:
        reason, message = "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
        set_condition(status, "Available", "False", reason, message, now)
    return status


def with_progress(deployment: Object, all_sets: list[Object], new_set: Object | None, now: datetime) -> Object:
    """The status during a rollout: has it completed, progressed, or taken too long?"""
    status = calculate(deployment, all_sets, new_set, now)
    current = condition(deployment, "Progressing")
    if deadline(deployment) is None:
        remove_condition(status, "Progressing")
    elif not _is_resync_of_complete(status, current):
        _judge_progress(deployment, new_set, status, current, now)
    _carry_replica_failure(status, all_sets, new_set)
    return status


def _is_resync_of_complete(status: Object, current: Object | None) -> bool:
    """The rollout was done already; what changes now (a pod is lost, the size) is not a rollout's progress."""
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return same and current is not None and current.get("reason") == SET_AVAILABLE


def _judge_progress(
    deployment: Object, new_set: Object | None, status: Object, current: Object | None, now: datetime
) -> None:
    kind, name = (
        ("ReplicaSet", new_set["metadata"]["name"]) if new_set else ("Deployment", deployment["metadata"]["name"])
    )
    if is_complete(deployment, status):
        message = f'{kind} "{name}" has successfully progressed.'
        set_condition(status, "Progressing", "True", SET_AVAILABLE, message, now)
    elif _has_progressed(deployment, status):
        if current is not None:
            remove_condition(status, "Progressing")  # a new lastUpdateTime starts the deadline anew
        set_condition(status, "Progressing", "True", SET_UPDATED, f'{kind} "{name}" is progressing.', now)
        if current is not None and current["status"] == "True":
            status["conditions"][-1]["lastTransitionTime"] = current["lastTransitionTime"]
    elif has_timed_out(deployment, status, now):
        message = f'{kind} "{name}" has timed out progressing.'
        set_condition(status, "Progressing", "False", TIMED_OUT, message, now)


def is_complete(deployment: Object, status: Object) -> bool:
    """Every pod is of the new template, and available; no old one runs."""
    wanted = deployment["spec"]["replicas"]
    counts = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return all(count == wanted for count in counts) and observed


def _has_progressed(deployment: Object, new: Object) -> bool:
    """More new pods, fewer old ones, more ready or more available than the status says so far."""
    old = deployment.get("status", {})

    def old_pods(status: Object) -> int:
        return status.get("replicas", 0) - status.get("updatedReplicas", 0)

    grown = any(
        new.get(name, 0) > old.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or old_pods(new) < old_pods(old)


def has_timed_out(deployment: Object, status: Object, now: datetime) -> bool:
    """Nothing has moved for longer than the deadline."""
    current = condition({"status": status}, "Progressing")
    seconds = deadline(deployment)
    if current is None or seconds is None or current.get("reason") == SET_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    return (now - times.parse(current["lastUpdateTime"])).total_seconds() > seconds


def _carry_replica_failure(status: Object, all_sets: list[Object], new_set: Object | None) -> None:
    """What keeps a ReplicaSet from creating pods is the deployment's trouble too, the new one's first."""
    ordered = [new_set, *all_sets] if new_set else all_sets
    failure = next((c for s in ordered if (c := condition(s, "ReplicaFailure"))), None)
    remove_condition(status, "ReplicaFailure")
    if failure is not None:
        carried = {**failure, "lastUpdateTime": failure["lastTransitionTime"]}
        status["conditions"] = [*status.get("conditions", []), carried]
