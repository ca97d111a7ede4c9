"""Rules that many kinds share. Upstream: pkg/apis/core/validation and apimachinery's api/validation."""

from __future__ import annotations

import ipaddress
from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.objectmeta import labels

Object = dict[str, Any]
SELECTOR_OPERATORS = ("DoesNotExist", "Exists", "In", "NotIn")
NOT_POSITIVE = "must be greater than zero"


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
    problems += label_name(expression.get("key") or "", f"{path}.key")
    return problems + label_values(values, f"{path}.values")


def label_name(key: str, path: str) -> list[FieldError]:
    """The key of a label or annotation, a condition's type, …: a qualified name."""
    return [invalid(path, key, text) for text in names.qualified_name(key)]


def label_values(values: list[str], path: str) -> list[FieldError]:
    return [invalid(f"{path}[{i}]", value, t) for i, value in enumerate(values) for t in names.label_value(value)]


def port(value: Any, path: str) -> list[FieldError]:
    """A port as a number or by a container port's name."""
    if isinstance(value, int):
        return [invalid(path, value, text) for text in names.port_number(value)]
    return [invalid(path, value or "", text) for text in names.port_name(value or "")]


def one_of(value: Any, choices: tuple[str, ...], path: str) -> list[FieldError]:
    """An enumeration's value, in upstream's order of choices; one that is missing is a field that is required."""
    if not value:
        return [required(path)]
    return [] if value in choices else [not_supported(path, value, choices)]


def optional(value: Any, choices: tuple[str, ...], path: str) -> list[FieldError]:
    """An enumeration's value that may be left out."""
    return [] if value is None or value in choices else [not_supported(path, value, choices)]


def ip_address(value: str, path: str) -> list[FieldError]:
    return [invalid(path, value, text) for text in names.ip_address(value)]


def ordinary_ip(value: str, path: str) -> list[FieldError]:
    """Where traffic can be sent to (ValidateNonSpecialIP). Unlike upstream the loopback is allowed: at the level
    *process* it is where the pods are.
    """
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return [invalid(path, value, "must be a valid IP address")]
    ranges = (
        (address.is_unspecified, f"may not be unspecified ({value})"),
        (address.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (_multicast(address), "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    )
    return [invalid(path, value, text) for within, text in ranges if within]


def _multicast(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    network = ipaddress.ip_network("224.0.0.0/24" if address.version == 4 else "ff02::/16")
    return address in network


def relative_path(value: str, path: str) -> list[FieldError]:
    """A path that stays below where it starts (validateLocalDescendingPath)."""
    problems = [invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return problems + no_backsteps(value, path)


def no_backsteps(value: str, path: str) -> list[FieldError]:
    return [invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else []


def unix_id(value: Any, path: str, what: str) -> list[FieldError]:
    """A `user` or `group` ID."""
    if value is None or 0 <= value <= 2**31 - 1:
        return []
    return [invalid(path, value, f"must be between 0 and {2**31 - 1}, inclusive")]
