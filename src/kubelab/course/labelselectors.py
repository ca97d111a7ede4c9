"""Whether a selector selects an object, by its labels: what every controller asks in each turn of its loop.

Upstream: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1, LabelSelectorAsSelector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Labels = Mapping[str, str]


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
    """`selector` has `matchLabels` and `matchExpressions`, or, a ReplicationController's, is the labels themselves."""
    if not {"matchLabels", "matchExpressions"} & set(selector):
        return bool(selector) and all(labels.get(key) == value for key, value in selector.items())
    equal = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return equal and all(_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _holds(expression: Mapping[str, Any], labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def words(selector: Mapping[str, Any]) -> str:
    """As `kubectl get -l` takes it: "app=web,tier in (a,b),!old"."""
    if not {"matchLabels", "matchExpressions"} & set(selector):
        return ",".join(f"{key}={value}" for key, value in selector.items())
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or []:
        listed = f"({','.join(each.get('values') or [])})"
        parts.append(
            {
                "In": f"{each['key']} in {listed}",
                "NotIn": f"{each['key']} notin {listed}",
                "Exists": each["key"],
                "DoesNotExist": f"!{each['key']}",
            }[each["operator"]]
        )
    return ",".join(parts)
