"""What a new pod is given for the scheduler's sake: the mark of its gates, and label keys made into selectors.

Upstream: applySchedulingGatedCondition and applyMatchLabelKeysAndMismatchLabelKeys in
pkg/registry/core/pod/strategy.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def prepare(pod: Object) -> None:
    """Change a pod that is being created; its status is there already."""
    spec, labels = pod["spec"], pod["metadata"].get("labels") or {}
    if spec.get("schedulingGates"):
        gated = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
            "lastProbeTime": None,
            "lastTransitionTime": None,
        }
        pod["status"].setdefault("conditions", []).append(gated)
    for term in _affinity_terms(spec):
        _use_label_keys(term, labels)


def _affinity_terms(spec: Object) -> Iterator[Object]:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = (spec.get("affinity") or {}).get(kind) or {}
        yield from affinity.get(REQUIRED) or ()
        yield from (weighted["podAffinityTerm"] for weighted in affinity.get(PREFERRED) or ())


def _use_label_keys(term: Object, labels: dict[str, str]) -> None:
    """`matchLabelKeys` means pods with the same value of a label as this one has, `mismatchLabelKeys` with another."""
    selector = term.get("labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                expression = {"key": key, "operator": operator, "values": [labels[key]]}
                selector.setdefault("matchExpressions", []).append(expression)
