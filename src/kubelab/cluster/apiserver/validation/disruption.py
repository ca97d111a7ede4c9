"""PodDisruptionBudgets. Upstream: pkg/apis/policy/validation/validation.go."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, GoValue, go_value, invalid
from kubelab.cluster.apiserver.validation import common
from kubelab.cluster.apiserver.validation.workloads import amount, at_most_all

Object = dict[str, Any]
COUNTS = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
LIMITS = ("minAvailable", "maxUnavailable")
POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def pod_disruption_budget(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    if all(spec.get(field) is not None for field in LIMITS):
        shown = GoValue(f"policy.PodDisruptionBudgetSpec{{{_fields(spec)}}}")
        problems.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for field in LIMITS:
        problems += amount(spec.get(field), f"spec.{field}") + at_most_all(spec.get(field), f"spec.{field}")
    problems += common.label_selector(spec.get("selector") or {}, "spec.selector")
    return problems + common.optional(
        spec.get("unhealthyPodEvictionPolicy"), POLICIES, "spec.unhealthyPodEvictionPolicy"
    )


def _fields(spec: Object) -> str:
    """As Go would show them, but for pointers, which it shows as addresses."""
    selector = spec.get("selector")
    parts = [f"MinAvailable:{spec['minAvailable']}", f"MaxUnavailable:{spec['maxUnavailable']}"]
    return ", ".join([*parts, f"Selector:{go_value('v1.LabelSelector', selector)}"] if selector else parts)


def status(found: Object) -> list[FieldError]:
    return [problem for field in COUNTS for problem in common.at_least(found, field, 0, "status")]
