"""Which pods go first when there are too many.

Upstream: ActivePodsWithRanks.Less in pkg/controller/controller_utils.go, logarithmic ages included: of two pods that
are about as old, chance (their UIDs) decides, so that not always the youngest go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from kubelab.cluster import times
from kubelab.cluster.pods import condition, is_active, is_ready, node_name, phase, restarts

Object = dict[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def pods_to_delete(pods: list[Object], related: list[Object], count: int, now: datetime) -> list[Object]:
    """The `count` pods to delete first; `related` are the pods of the owner's owner, which should stay spread out."""
    if count >= len(pods):
        return list(pods)
    on_node = Counter(node_name(pod) for pod in related if is_active(pod))
    return sorted(pods, key=cmp_to_key(_comparison(on_node, now)))[:count]


def _comparison(on_node: Counter[str], now: datetime) -> Callable[[Object, Object], int]:
    def compare(a: Object, b: Object) -> int:
        first, second = _rank(a, on_node), _rank(b, on_node)
        if first != second:
            return -1 if first < second else 1
        if is_ready(a) and _ready_since(a) != _ready_since(b):
            return _younger_first(_ready_since(a), _ready_since(b), a, b, now)
        if restarts(a) != restarts(b):
            return -1 if restarts(a) > restarts(b) else 1
        if _created(a) != _created(b):
            return _younger_first(_created(a), _created(b), a, b, now)
        return 0

    return compare


def _rank(pod: Object, on_node: Counter[str]) -> tuple[Any, ...]:
    """Not assigned, then Pending, then not ready, then cheap, then with many neighbours of its own kind."""
    return (
        bool(node_name(pod)),
        PHASES.get(phase(pod), 3),
        is_ready(pod),
        _deletion_cost(pod),
        -on_node[node_name(pod)],
    )


def _deletion_cost(pod: Object) -> int:
    try:
        return int((pod["metadata"].get("annotations") or {}).get(DELETION_COST, 0))
    except ValueError:
        return 0


def _ready_since(pod: Object) -> str:
    return (condition(pod, "Ready") or {}).get("lastTransitionTime") or ""


def _created(pod: Object) -> str:
    return pod["metadata"].get("creationTimestamp") or ""


def _younger_first(since_a: str, since_b: str, a: Object, b: Object, now: datetime) -> int:
    if not since_a or not since_b:
        return -1 if not since_a else 1
    difference = _magnitude(since_a, now) - _magnitude(since_b, now)
    if difference:
        return difference
    return -1 if a["metadata"]["uid"] < b["metadata"]["uid"] else 1


def _magnitude(since: str, now: datetime) -> int:
    """The age's power of two, in nanoseconds as upstream counts it; -1 for no age."""
    nanoseconds = (now - times.parse(since)).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1
