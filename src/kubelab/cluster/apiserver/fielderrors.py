"""Errors of single fields, in upstream's words: `spec.containers[0].name: Required value`.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class FieldError:
    """`path` is the field, `reason` the cause's type in the Status, `body` what is said after the path."""

    path: str
    reason: str
    body: str

    def __str__(self) -> str:
        return f"{self.path}: {self.body}"


class GoValue(str):
    """Text that is shown as it stands: a struct in Go's notation."""


def go_value(kind: str, value: dict[str, Any]) -> GoValue:
    """A map or a LabelSelector as Go's `%#v` writes it, which is what these messages show."""
    if kind != "v1.LabelSelector":
        if not value:
            return GoValue(f"{kind}(nil)")  # what is empty is not stored, so it was left out
        return GoValue(f"{kind}{{{', '.join(f'{_show(k)}:{_show(v)}' for k, v in sorted(value.items()))}}}")
    labels = value.get("matchLabels")
    shown = "map[string]string(nil)" if labels is None else go_value("map[string]string", labels)
    expressions = value.get("matchExpressions")
    more = "[]v1.LabelSelectorRequirement(nil)"
    if expressions is not None:
        more = f"[]v1.LabelSelectorRequirement{{{', '.join(map(_requirement, expressions))}}}"
    return GoValue(f"v1.LabelSelector{{MatchLabels:{shown}, MatchExpressions:{more}}}")


def _requirement(expression: dict[str, Any]) -> str:
    values = expression.get("values")
    listed = "[]string(nil)" if values is None else f"[]string{{{', '.join(map(_show, values))}}}"
    key, operator = _show(expression.get("key", "")), _show(expression.get("operator", ""))
    return f"v1.LabelSelectorRequirement{{Key:{key}, Operator:{operator}, Values:{listed}}}"


def _show(value: Any) -> str:
    """The value as Go shows it in these messages: strings quoted, numbers bare, the rest as JSON."""
    if isinstance(value, GoValue):
        return str(value)
    if isinstance(value, list):
        return f"[]string{{{', '.join(map(_show, value))}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else orjson.dumps(value).decode()


def _say(words: str, detail: str) -> str:
    return f"{words}: {detail}" if detail else words


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(path, "FieldValueRequired", _say("Required value", detail))


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(path, "FieldValueInvalid", _say(f"Invalid value: {_show(value)}", detail))


def invalid_whole(path: str, detail: str) -> FieldError:
    """A value that is too large to be shown (field.OmitValueType)."""
    return FieldError(path, "FieldValueInvalid", f"Invalid value: {detail}")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    choices = ", ".join(_show(choice) for choice in supported)
    return FieldError(path, "FieldValueNotSupported", f"Unsupported value: {_show(value)}: supported values: {choices}")


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueDuplicate", f"Duplicate value: {_show(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, "FieldValueForbidden", _say("Forbidden", detail))


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(path, "FieldValueNotFound", f"Not found: {_show(value)}")


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def too_many(path: str, found: int, limit: int) -> FieldError:
    return FieldError(path, "FieldValueTooMany", f"Too many: {found}: must have at most {limit} items")
