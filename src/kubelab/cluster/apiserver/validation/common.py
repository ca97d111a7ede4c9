"""Rules that many kinds share. Upstream: pkg/apis/core/validation and apimachinery's api/validation."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.objectmeta import labels

Object = dict[str, Any]
SELECTOR_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")


def at_least(obj: Object, field: str, minimum: int, path: str) -> list[FieldError]:
    """A number that, where it is set, must not be smaller."""
    value = obj.get(field)
    if value is None or value >= minimum:
        return []
    return [invalid(f"{path}.{field}", value, f"must be greater than or equal to {minimum}")]


def label_selector(selector: Object, path: str) -> list[FieldError]:
    """A LabelSelector: matchLabels and matchExpressions."""
    problems = labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        problems += _expression(expression, f"{path}.matchExpressions[{index}]")
    return problems


def _expression(expression: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    operator, values = expression.get("operator"), expression.get("values") or []
    if operator in ("In", "NotIn") and not values:
        problems.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        problems.append(forbidden(f"{path}.values", text))
    elif operator not in SELECTOR_OPERATORS:
        problems.append(invalid(f"{path}.operator", operator or "", "not a valid selector operator"))
    key = expression.get("key", "")
    problems += [invalid(f"{path}.key", key, text) for text in names.qualified_name(key)]
    return problems


def port(value: Any, path: str) -> list[FieldError]:
    """A port as a number or by a container port's name."""
    if isinstance(value, int):
        return [invalid(path, value, text) for text in names.port_number(value)]
    return [invalid(path, value or "", text) for text in names.port_name(value or "")]


def one_of(value: Any, choices: tuple[str, ...], path: str) -> list[FieldError]:
    return [] if value in choices else [not_supported(path, value or "", choices)]
