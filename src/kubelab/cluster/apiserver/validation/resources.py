"""Requests and limits. Upstream: validation.go (validateResourceRequirements, validateContainerResourceName)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)

Object = dict[str, Any]
CONTAINER = ("cpu", "memory", "ephemeral-storage")
QUOTA = (
    *(
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
    ),
    *("requests.ephemeral-storage", "limits.cpu", "limits.memory", "limits.ephemeral-storage", "resourcequotas"),
    *("secrets", "configmaps", "services", "services.nodeports", "services.loadbalancers", "storage"),
)
COUNTED = ("pods", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "services")
RESIZE = ("NotRequired", "RestartContainer")


def requirements(resources: Object, path: str) -> list[FieldError]:
    """A container's resources, each list in the order of its names (Go's is at random)."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    problems: list[FieldError] = []
    for name, amount in sorted(limits.items()):
        problems += resource_name(name, f"{path}.limits[{name}]") + amount_of(name, amount, f"{path}.limits[{name}]")
    for name, amount in sorted(requests.items()):
        where = f"{path}.requests[{name}]"
        problems += resource_name(name, where) + amount_of(name, amount, where)
        problems += _within(name, amount, limits.get(name), path)
    huge = any(name.startswith("hugepages-") for name in (*limits, *requests))
    if huge and not {"cpu", "memory"} & {*limits, *requests}:
        problems.append(forbidden(path, "HugePages require cpu or memory"))
    return problems


def _within(name: str, amount: str, limit: str | None, path: str) -> list[FieldError]:
    """Requests stay within limits; of what cannot be overcommitted they are equal."""
    overcommitted = name in CONTAINER
    if limit is None:
        text = "Limit must be set for non overcommitable resources"
        return [] if overcommitted else [required(f"{path}.limits", text)]
    wanted, allowed = quantity.parse(amount), quantity.parse(limit)
    if wanted != allowed and not overcommitted:
        return [invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")]
    if wanted > allowed:
        return [invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")]
    return []


def resource_name(name: str, path: str) -> list[FieldError]:
    problems = [invalid(path, name, text) for text in names.qualified_name(name)]
    if not problems and "/" not in name and name not in (*CONTAINER, *QUOTA) and not name.startswith("hugepages-"):
        problems.append(invalid(path, name, "must be a standard resource type or fully qualified"))
    if "/" not in name:
        if name not in CONTAINER and not name.startswith("hugepages-"):
            problems.append(invalid(path, name, "must be a standard resource for containers"))
    elif "kubernetes.io/" not in name and not _extended(name):
        problems.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return problems


def _extended(name: str) -> bool:
    return not name.startswith("requests.") and not names.qualified_name(f"requests.{name}")


def amount_of(name: str, amount: str, path: str) -> list[FieldError]:
    """A quantity: not negative, and whole where things are counted."""
    value = quantity.parse(amount)
    problems: list[FieldError] = []
    if value < 0:
        problems.append(invalid(path, amount, "must be greater than or equal to 0"))
    counted = name in COUNTED or ("/" in name and "kubernetes.io/" not in name)
    if counted and value * 1000 % 1000:
        problems.append(invalid(path, GoValue(amount), "must be an integer"))
    return problems


def resize_policy(policies: list[Object], path: str, restart_policy: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            problems.append(duplicate(f"{path}[{index}]", name))
        seen.add(name)
        for value, choices in ((name, ("cpu", "memory")), (restart, RESIZE)):
            if not value:
                problems.append(required(path))
            elif value not in choices:
                problems.append(not_supported(path, value, choices))
        if restart_policy == "Never" and restart != "NotRequired":
            problems.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return problems
