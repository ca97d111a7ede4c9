"""Why a pod could not be scheduled, in upstream's words.

Upstream: FitError in pkg/scheduler/framework/types.go, which counts each reason and sorts the counted reasons as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from kubelab.cluster.scheduler.framework import Rejection

NO_NODES = "no nodes available to schedule pods"


def fit_error(rejections: Mapping[str, Rejection], preemption: str = "") -> str:
    """`0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: …`"""
    if not rejections:
        return NO_NODES
    reasons = Counter(reason for rejection in rejections.values() for reason in rejection.reasons)
    message = available(reasons, rejections)
    return f"{message} preemption: {preemption}" if preemption else message


def available(reasons: Counter[str], nodes: Mapping[str, Rejection]) -> str:
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{len(nodes)} nodes are available: {counted}."
