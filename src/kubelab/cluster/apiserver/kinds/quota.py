"""ResourceQuotas and LimitRanges.

Upstream: pkg/registry/core/{resourcequota,limitrange}/strategy.go, SetDefaults_LimitRangeItem in pkg/apis/core/v1.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import quota as validation

Object = dict[str, Any]


class ResourceQuotaStrategy(Strategy):
    has_status = True
    returns_deleted_object = True

    def default(self, obj: Object) -> None:
        obj.setdefault("spec", {})

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {}

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.resource_quota(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        if subresource:
            return []
        return self.validate(obj) + validation.same_scopes(obj["spec"], old["spec"])


class LimitRangeStrategy(Strategy):
    def default(self, obj: Object) -> None:
        """A maximum is the default limit, that is the default request; where there is none, a minimum is."""
        for item in obj.setdefault("spec", {}).get("limits") or ():
            if item.get("type") != "Container":
                continue
            limits = {**(item.get("max") or {}), **(item.get("default") or {})}
            requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
            if limits:
                item["default"] = limits
            if requests:
                item["defaultRequest"] = requests

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.limit_range(obj["spec"])
