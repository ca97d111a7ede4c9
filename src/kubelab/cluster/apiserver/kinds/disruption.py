"""PodDisruptionBudgets. Upstream: pkg/registry/policy/poddisruptionbudget/strategy.go."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import disruption as validation

Object = dict[str, Any]


class PodDisruptionBudgetStrategy(Strategy):
    has_status = True
    has_generation = True
    unconditional_update = False

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = dict.fromkeys(validation.COUNTS, 0)

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        super().prepare_update(obj, old, subresource)
        obj["status"] = dict.fromkeys(validation.COUNTS, 0) | (obj.get("status") or {})

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.pod_disruption_budget(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return validation.status(obj["status"]) if subresource else self.validate(obj)
