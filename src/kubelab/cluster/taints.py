"""Taints and what tolerates them.

Upstream: staging/src/k8s.io/api/core/v1/toleration.go, component-helpers/scheduling/corev1/helpers.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


def tolerates(toleration: Object, taint: Object) -> bool:
    """An empty key (with Exists) tolerates every key, an empty effect every effect."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return operator == "Equal" and (toleration.get("value") or "") == (taint.get("value") or "")


def find_untolerated(taints: Iterable[Object], tolerations: Iterable[Object]) -> Object | None:
    """The first of `taints` that none of the tolerations covers."""
    tolerations = list(tolerations)
    for taint in taints:
        if not any(tolerates(toleration, taint) for toleration in tolerations):
            return taint
    return None
