"""The status of a ReplicaSet or ReplicationController.

Upstream: calculateStatus in pkg/controller/replicaset/replica_set_utils.go.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.client import APIError
from kubelab.cluster.pods import condition, is_available, is_ready
from kubelab.cluster.selectors import map_matches
from kubelab.cluster.times import timestamp

Object = dict[str, Any]


def calculate_status(
    owner: Object, pods: list[Object], surplus: int, failure: APIError | None, now: datetime
) -> Object:
    """Count the claimed, active `pods`; `surplus` (negative: too few) says what a `failure` was about.

    Counts of zero are left out but for `replicas`, as the API's JSON does.
    """
    template_labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    min_ready = owner["spec"].get("minReadySeconds", 0)
    counts = {
        "fullyLabeledReplicas": sum(map_matches(template_labels, pod["metadata"].get("labels")) for pod in pods),
        "readyReplicas": sum(is_ready(pod) for pod in pods),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in pods),
        "observedGeneration": owner["metadata"].get("generation", 0),
    }
    status = {"replicas": len(pods), **{name: count for name, count in counts.items() if count}}
    conditions = _conditions(owner, surplus, failure, now)
    return {**status, "conditions": conditions} if conditions else status


def _conditions(owner: Object, surplus: int, failure: APIError | None, now: datetime) -> list[Object]:
    """ReplicaFailure while pods cannot be created or deleted; it keeps its time until it goes."""
    others = [c for c in owner.get("status", {}).get("conditions") or () if c["type"] != "ReplicaFailure"]
    if failure is None:
        return others
    existing = condition(owner, "ReplicaFailure")
    if existing is not None:
        return [*others, existing]
    return [
        *others,
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate" if surplus < 0 else "FailedDelete",
            "message": str(failure),
            "lastTransitionTime": timestamp(now),
        },
    ]
