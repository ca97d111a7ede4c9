"""Why a pod could not be scheduled, in upstream's words.

Upstream: FitError in pkg/scheduler/framework/types.go, and the message that pkg/scheduler/framework/preemption adds.
Nothing is preempted here: all pods have the same priority, so no pod is ever a victim of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kubelab.cluster.scheduler.filters import Rejection

NO_NODES = "no nodes available to schedule pods"


def fit_error(rejections: Sequence[Rejection]) -> str:
    """`0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims …`"""
    if not rejections:
        return NO_NODES
    reasons = Counter(reason for rejection in rejections for reason in rejection.reasons)
    victims = Counter(
        "No preemption victims found for incoming pod"
        if rejection.resolvable
        else "Preemption is not helpful for scheduling"
        for rejection in rejections
    )
    return f"{_available(len(rejections), reasons)} preemption: {_available(len(rejections), victims)}"


def _available(nodes: int, reasons: Counter[str]) -> str:
    counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    return f"0/{nodes} nodes are available: {counted}."
