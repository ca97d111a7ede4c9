"""The arithmetic of a rollout: how many pods there may be at most, how many must be available, who gets which share.

Upstream: pkg/controller/deployment/util/deployment_util.go (ResolveFenceposts, NewRSNewReplicas,
GetReplicaSetProportion).
"""

from __future__ import annotations

import math
from typing import Any

Object = dict[str, Any]

NO_DEADLINE = 2**31 - 1  # progressDeadlineSeconds that means none


def is_rolling(deployment: Object) -> bool:
    return (deployment["spec"].get("strategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"


def scaled_value(value: int | str, total: int, *, round_up: bool) -> int:
    """A number, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total / 100
    return math.ceil(share) if round_up else math.floor(share)


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable) in pods; surge rounds up, unavailable down, and both zero would stand still for ever."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    replicas = deployment["spec"]["replicas"]
    surge = scaled_value(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = scaled_value(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if not surge and not unavailable:
        unavailable = 1
    return surge, unavailable


def max_surge(deployment: Object) -> int:
    return fenceposts(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    """Never more than there are pods."""
    replicas = deployment["spec"]["replicas"]
    return min(fenceposts(deployment)[1], replicas)


def new_replicas(deployment: Object, all_sets: list[Object], new_set: Object | None) -> int:
    """The size that the new ReplicaSet may have now: as much as is wanted, within the surge."""
    wanted, current = deployment["spec"]["replicas"], size(new_set) if new_set else 0
    if not is_rolling(deployment):
        return wanted
    total, most = sum(size(s) for s in all_sets), wanted + max_surge(deployment)
    if total >= most:
        return current
    return current + min(most - total, wanted - current)


def size(replica_set: Object) -> int:
    return replica_set["spec"].get("replicas", 1)


def status_sum(replica_sets: list[Object], count: str) -> int:
    """The sum of one of the status' counts, such as availableReplicas."""
    return sum(replica_set.get("status", {}).get(count, 0) for replica_set in replica_sets)


def deadline(deployment: Object) -> int | None:
    """Seconds in which a rollout has to progress, or None."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, NO_DEADLINE) else seconds
