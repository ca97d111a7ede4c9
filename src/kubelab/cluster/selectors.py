"""Selectors that are objects: which labels a LabelSelector, a plain map, or a node's selector terms select.

Upstream: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go and
staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity. (Selectors in a query are the API server's.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Labels = Mapping[str, str]


def label_selector_matches(selector: dict[str, Any] | None, labels: Labels | None) -> bool:
    """A LabelSelector object. None selects nothing, the empty one everything."""
    if selector is None:
        return False
    have = labels or {}
    wanted = selector.get("matchLabels")
    if wanted and not map_matches(wanted, have):
        return False
    return all(expression_matches(expression, have) for expression in selector.get("matchExpressions") or ())


def map_matches(wanted: Labels, labels: Labels | None) -> bool:
    """Every pair of `wanted` is among the labels."""
    have = labels or {}
    return all(have.get(key) == value for key, value in wanted.items())


def expression_matches(expression: dict[str, Any], labels: Labels) -> bool:
    """One requirement: In, NotIn, Exists, DoesNotExist; for nodes also Gt and Lt. Any other selects nothing."""
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return operator in ("Gt", "Lt") and _compares(operator, labels.get(key), values)


def _compares(operator: str, have: str | None, values: tuple[str, ...] | list[str]) -> bool:
    try:
        left, right = int(have or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right


def node_selector_matches(terms: list[dict[str, Any]], node: dict[str, Any]) -> bool:
    """Whether one of the terms selects the node. A term with neither expressions nor fields selects nothing."""
    return any(_term_matches(term, node) for term in terms)


def _term_matches(term: dict[str, Any], node: dict[str, Any]) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    names = {"metadata.name": node["metadata"]["name"]}
    return all(expression_matches(e, labels) for e in expressions) and all(expression_matches(f, names) for f in fields)
