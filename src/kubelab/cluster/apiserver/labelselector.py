"""Label selectors as the query parameter has them: `app=web,tier!=db,env in (a, b),!canary,gen>2`.

Upstream: staging/src/k8s.io/apimachinery/pkg/labels/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from kubelab.cluster.apiserver import names

Labels = Mapping[str, str]
Requirement = Callable[[Labels], bool]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")


class SelectorError(ValueError):
    """The selector cannot be parsed; the message says where."""


@lru_cache(1024)
def parse(text: str) -> Callable[[Labels | None], bool]:
    """A function that tells whether labels match. The empty selector matches everything. Raises SelectorError."""
    requirements = tuple(_Parser(text).requirements())
    return lambda labels: all(requirement(labels or {}) for requirement in requirements)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [match.group(1) for match in _TOKEN.finditer(text)]
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek():
            found.append(self._requirement())
            separator = self._take()
            if separator and separator != ",":
                raise SelectorError(f"found '{separator}', expected: ',' or 'end of string'")
            if separator and not self._peek():
                raise SelectorError("found '', expected: identifier after ','")
        return found

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            key = self._key()
            return lambda labels: key not in labels
        key, operator = self._key(), self._peek()
        if operator in ("", ","):
            return lambda labels: key in labels
        self._take()
        if operator in ("=", "=="):
            value = self._value()
            return lambda labels: labels.get(key) == value
        if operator == "!=":
            value = self._value()
            return lambda labels: labels.get(key) != value
        if operator in ("in", "notin"):
            values, wanted = self._values(), operator == "in"
            return lambda labels: (labels.get(key) in values) is wanted
        if operator in ("<", ">"):
            return _compare(key, operator, self._value())
        raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        key = self._take()
        problems = names.qualified_name(key)
        if problems:
            raise SelectorError(f'key: Invalid value: "{key}": {"; ".join(problems)}')
        return key

    def _value(self) -> str:
        value = self._take() if self._peek() not in ("", ",") else ""
        problems = names.label_value(value)
        if problems:
            raise SelectorError(f'values[0]: Invalid value: "{value}": {"; ".join(problems)}')
        return value

    def _values(self) -> frozenset[str]:
        if self._take() != "(":
            raise SelectorError("found '', expected: '('")
        values: set[str] = set()
        while True:
            token = self._take()
            if token == ")":
                return frozenset(values or {""})
            if token == "":
                raise SelectorError("found '', expected: ',' or ')'")
            if token != ",":
                values.add(token)

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token


def _compare(key: str, operator: str, bound: str) -> Requirement:
    if not re.fullmatch(r"-?\d+", bound):
        raise SelectorError(
            f"values[0]: Invalid value: \"{bound}\": for 'Gt', 'Lt' operators, the value must be an integer"
        )
    sign = 1 if operator == ">" else -1

    def compare(labels: Labels) -> bool:
        value = labels.get(key, "")
        return bool(re.fullmatch(r"-?\d+", value)) and (int(value) - int(bound)) * sign > 0

    return compare


def to_string(selector: dict | None) -> str:
    """A LabelSelector or a plain map as `kubectl get` prints it: `a=b,c in (d,e)`."""
    if not selector:
        return "<none>"
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        selector = {"matchLabels": selector}
    parts = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or ():
        key, values = expression["key"], ",".join(sorted(expression.get("values") or ()))
        words = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }
        parts.append((key, words[expression["operator"]]))
    return ",".join(text for _, text in sorted(parts)) or "<none>"
