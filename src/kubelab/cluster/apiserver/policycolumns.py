"""The cells of roles, bindings, priority classes, quotas, budgets and pod templates.

Upstream: printRoleBinding, printPriorityClass, printResourceQuota and printPodDisruptionBudget in pkg/printers/
internalversion/printers.go. Roles and limit ranges have upstream's plain table: name and time of creation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Object = dict[str, Any]


def created(obj: Object, now: float) -> str:
    return obj["metadata"].get("creationTimestamp") or ""


def role(binding: Object, now: float) -> str:
    """`ClusterRole/view`."""
    return f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"


def subjects(kind: str) -> Callable[[Object, float], str]:
    """The subjects of one kind; service accounts as `namespace/name`."""

    def cell(binding: Object, now: float) -> str:
        found = [subject for subject in binding.get("subjects") or () if subject["kind"] == kind]
        if kind == "ServiceAccount":
            return ", ".join(f"{subject.get('namespace', '')}/{subject['name']}" for subject in found)
        return ", ".join(subject["name"] for subject in found)

    return cell


def global_default(obj: Object, now: float) -> bool:
    return bool(obj.get("globalDefault"))


def quota(limits: bool) -> Callable[[Object, float], str]:
    """`pods: 1/4, requests.cpu: 100m/1`: what is used of what; limits have a column of their own."""

    def cell(obj: Object, now: float) -> str:
        status = obj.get("status") or {}
        used = status.get("used") or {}
        names = sorted(name for name in status.get("hard") or {} if name.startswith("limits.") is limits)
        return ", ".join(f"{name}: {used.get(name, '0')}/{status['hard'][name]}" for name in names)

    return cell


def budget(field: str) -> Callable[[Object, float], str]:
    def cell(obj: Object, now: float) -> str:
        value = (obj.get("spec") or {}).get(field)
        return "N/A" if value is None else str(value)

    return cell


def template_containers(obj: Object) -> list[Object]:
    return (obj["template"].get("spec") or {}).get("containers") or []


def template_labels(obj: Object, now: float) -> str:
    labels = (obj["template"].get("metadata") or {}).get("labels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"
