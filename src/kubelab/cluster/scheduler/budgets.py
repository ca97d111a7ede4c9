"""Which victims of a preemption would go against a PodDisruptionBudget.

Upstream: filterPodsWithPDBViolation in pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelab.cluster.scheduler.requests import PodInfo
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]


def split_by_violation(pods: Sequence[PodInfo], budgets: Sequence[Object]) -> tuple[list[PodInfo], list[PodInfo]]:
    """(pods that violate a budget if all of `pods` go, the others), each in the order of `pods`.

    A budget pays for the first of its pods, as many as its status allows disruptions.
    """
    allowed = [(budget.get("status") or {}).get("disruptionsAllowed", 0) for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for info in pods:
        violates = False
        for index, budget in enumerate(budgets):
            if _counts(budget, info.pod):
                allowed[index] -= 1
                violates = violates or allowed[index] < 0
        (violating if violates else others).append(info)
    return violating, others


def _counts(budget: Object, pod: Object) -> bool:
    """Whether the pod's going takes one from the budget; an eviction that was granted has taken it already.

    A budget without a selector counts nobody here, nor does the empty selector.
    """
    metadata, selector = pod["metadata"], (budget.get("spec") or {}).get("selector")
    return (
        bool(selector and (selector.get("matchLabels") or selector.get("matchExpressions")))
        and bool(metadata.get("labels"))
        and budget["metadata"]["namespace"] == metadata["namespace"]
        and metadata["name"] not in ((budget.get("status") or {}).get("disruptedPods") or {})
        and label_selector_matches(selector, metadata["labels"])
    )
