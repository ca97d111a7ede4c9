"""ResourceQuotas and LimitRanges. Upstream: ValidateResourceQuota, ValidateLimitRange in pkg/apis/core/validation."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, required

Object = dict[str, Any]
STANDARD = {
    *("cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage"),
    *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "services"),
    *("services.nodeports", "services.loadbalancers", "resourcequotas", "secrets", "configmaps"),
    *("persistentvolumeclaims", "replicationcontrollers"),
}
INTEGER = STANDARD - {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
SCOPES = ("BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating")
OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
POD_COMPUTE = {name for name in STANDARD if name.rpartition(".")[2] in ("cpu", "memory")} | {"pods"}


def resource_quota(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    for name, amount in sorted((spec.get("hard") or {}).items()):
        problems += _name(name, f"spec.hard[{name}]") + _amount(name, amount, f"spec.hard[{name}]")
    return problems + _scopes(spec)


def _name(name: str, path: str) -> list[FieldError]:
    found = [invalid(path, name, text) for text in names.qualified_name(name)]
    if not found and "/" not in name and name not in STANDARD and not name.startswith(("hugepages-", "requests.")):
        found.append(invalid(path, name, "must be a standard resource for quota"))
    return found


def _amount(name: str, amount: str, path: str) -> list[FieldError]:
    value = quantity.parse(amount)
    if value < 0:
        return [invalid(path, amount, "must be greater than or equal to 0")]
    whole = name in INTEGER or name.startswith("count/")
    return [invalid(path, amount, "must be an integer")] if whole and value != value.to_integral_value() else []


def _scopes(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    given, hard = spec.get("scopes") or [], spec.get("hard") or {}
    for index, scope in enumerate(given):
        problems += _scope(scope, given, hard, "spec.scopes", f"spec.scopes[{index}]")
    problems += _conflicts(given, "spec.scopes")
    selector = spec.get("scopeSelector")
    path = "spec.scopeSelector.matchExpressions"
    expressions = (selector or {}).get("matchExpressions") or []
    for expression in expressions:
        problems += _scope(expression.get("scopeName", ""), given, hard, f"{path}.scopeName", f"{path}.scopeName")
        problems += _expression(expression, path)
    return problems + _conflicts([e.get("scopeName", "") for e in expressions], path)


def _scope(scope: str, given: list[str], hard: Object, path: str, item: str) -> list[FieldError]:
    if scope not in SCOPES:
        return [invalid(item, scope, "unsupported scope")]
    allowed = {"pods"} if scope == "BestEffort" else POD_COMPUTE | {n for n in hard if n.rpartition(".")[2] in _STORAGE}
    wrong = [n for n in hard if n in STANDARD and n not in allowed]
    return [invalid(path, given, "unsupported scope applied to resource") for _ in wrong]


_STORAGE = ("ephemeral-storage",)


def _conflicts(scopes: list[str], path: str) -> list[FieldError]:
    pairs = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
    return [invalid(path, scopes, "conflicting scopes") for pair in pairs if pair <= set(scopes)]


def _expression(expression: Object, path: str) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    problems: list[FieldError] = []
    if expression.get("scopeName") in _PLAIN and operator != "Exists":
        problems.append(invalid(f"{path}.operator", operator, _EXIST))
    if operator in ("In", "NotIn") and not values:
        text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        problems.append(required(f"{path}.values", text))
    elif operator in ("Exists", "DoesNotExist") and values:
        text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        problems.append(invalid(f"{path}.values", values, text))
    elif operator not in OPERATORS:
        problems.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return problems


_PLAIN = tuple(scope for scope in SCOPES if scope != "PriorityClass")
_EXIST = (
    "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating,"
    " ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


def same_scopes(spec: Object, old: Object) -> list[FieldError]:
    return [] if spec.get("scopes") == old.get("scopes") else [invalid("spec.scopes", spec.get("scopes") or [], _FIXED)]


_FIXED = "field is immutable"


# -- limit ranges


def limit_range(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, item in enumerate(spec.get("limits") or ()):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        if not kind:
            problems.append(required(f"{path}.type"))
        elif kind not in ("Container", "Pod", "PersistentVolumeClaim") and "/" not in kind:
            problems.append(invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified"))
        if kind in seen:
            problems.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        problems += _limits(item, path)
    return problems


def _limits(item: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if item.get("type") == "Pod":
        for field in ("default", "defaultRequest"):
            if item.get(field):
                problems.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
    storage = "storage" in (item.get("min") or ()) or "storage" in (item.get("max") or ())
    if item.get("type") == "PersistentVolumeClaim" and not storage:
        text = "either minimum or maximum storage value is required, but neither was provided"
        problems.append(required(f"{path}.limits", text))
    fields = ("min", "max", "default", "defaultRequest", "maxLimitRequestRatio")
    for name in sorted({name for field in fields for name in item.get(field) or ()}):
        problems += _order(item, name, path)
    return problems


_ORDER = (
    ("min", "max", "min value {} is greater than max value {}"),
    ("min", "defaultRequest", "min value {} is greater than default request value {}"),
    ("defaultRequest", "max", "default request value {} is greater than max value {}"),
    ("defaultRequest", "default", "default request value {} is greater than default limit value {}"),
    ("min", "default", "min value {} is greater than default value {}"),
    ("default", "max", "default value {} is greater than max value {}"),
)


def _order(item: Object, name: str, path: str) -> list[FieldError]:
    """Least, default request, default and most, each no greater than the next."""
    problems: list[FieldError] = []
    for lower, upper, words in _ORDER:
        low, high = (item.get(lower) or {}).get(name), (item.get(upper) or {}).get(name)
        if low is not None and high is not None and quantity.parse(low) > quantity.parse(high):
            where = lower if lower != "min" or upper == "max" else upper
            value = low if where == lower else high
            problems.append(invalid(f"{path}.{where}[{name}]", value, words.format(low, high)))
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    if ratio is not None and quantity.parse(ratio) < 1:
        problems.append(invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, f"ratio {ratio} is less than 1"))
    low, high = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
    if ratio is not None and low and high and quantity.parse(low) > 0:
        most = quantity.parse(high) / quantity.parse(low)
        if quantity.parse(ratio) > most:
            text = f"ratio {ratio} is greater than max/min = {most:f}"
            problems.append(invalid(f"{path}.maxLimitRequestRatio[{name}]", ratio, text))
    return problems
