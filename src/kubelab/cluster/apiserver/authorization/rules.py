"""Policy rules: what one allows, and whether some rules hold all that others would grant.

Upstream: pkg/apis/rbac/v1/evaluation_helpers.go (VerbMatches and its siblings), k8s.io/component-helpers/auth/rbac/
validation/policy_comparator.go (Covers), pkg/registry/rbac/validation/policy_compact.go, pkg/apis/rbac/v1/helpers.go
(CompactString).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from kubelab.cluster.apiserver.authorization.attributes import Attributes

Object = dict[str, Any]
ALL = "*"


@dataclass(frozen=True)
class Rule:
    """A PolicyRule, made ready to be asked."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: tuple[str, ...]

    @classmethod
    def of(cls, rule: Object) -> Rule:
        sets = (frozenset(rule.get(key) or ()) for key in ("verbs", "apiGroups", "resources", "resourceNames"))
        return cls(*sets, tuple(rule.get("nonResourceURLs") or ()))

    def allows(self, a: Attributes) -> bool:
        if a.verb not in self.verbs and ALL not in self.verbs:
            return False
        if a.path:
            return any(url_covers(url, a.path) for url in self.urls)
        if a.group not in self.groups and ALL not in self.groups:
            return False
        wanted = self.resources
        found = ALL in wanted or a.full_resource in wanted or (a.subresource and f"*/{a.subresource}" in wanted)
        return bool(found) and (not self.names or a.name in self.names)


def url_covers(rule: str, path: str) -> bool:
    """`/healthz/*` covers what begins with `/healthz/`."""
    return rule in (ALL, path) or (rule.endswith("*") and path.startswith(rule.rstrip("*")))


# -- does somebody hold what they would grant?


def missing(held: Iterable[Object], granted: Iterable[Object]) -> list[Object]:
    """The parts of `granted`, one verb on one resource each, that no rule of `held` covers."""
    owner = list(held)
    return [part for rule in granted for part in _broken_down(rule) if not any(_covers(rule, part) for rule in owner)]


def _broken_down(rule: Object) -> Iterator[Object]:
    for group, resource, verb in product(rule.get("apiGroups") or (), rule.get("resources") or (), rule["verbs"]):
        part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        names = rule.get("resourceNames") or ()
        yield from ({**part, "resourceNames": [name]} for name in names) if names else (part,)
    for url, verb in product(rule.get("nonResourceURLs") or (), rule["verbs"]):
        yield {"nonResourceURLs": [url], "verbs": [verb]}


def _covers(rule: Object, part: Object) -> bool:
    """Whether a rule grants the whole of a part that was broken down."""
    if not _has(rule, "verbs", part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return any(url_covers(url, part["nonResourceURLs"][0]) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    if names and not set(part.get("resourceNames") or ("",)) <= set(names):
        return False
    resource = part["resources"][0]
    below = resource.rpartition("/")[2] if "/" in resource else ""
    listed = rule.get("resources") or ()
    found = ALL in listed or resource in listed or (bool(below) and f"*/{below}" in listed)
    return found and _has(rule, "apiGroups", part["apiGroups"][0])


def _has(rule: Object, field: str, value: str) -> bool:
    listed = rule.get(field) or ()
    return ALL in listed or value in listed


def compact(rules: Iterable[Object]) -> list[Object]:
    """Rules about the same single resource put together: their verbs in one rule."""
    result: dict[Any, Object] = {}
    for rule in rules:
        simple = len(rule.get("apiGroups") or ()) == 1 and len(rule.get("resources") or ()) == 1
        if not simple:
            result[len(result), id(rule)] = rule
            continue
        key = (rule["apiGroups"][0], rule["resources"][0], tuple(rule.get("resourceNames") or ()))
        known = result.setdefault(key, {**rule, "verbs": []})
        known["verbs"] = [*known["verbs"], *(verb for verb in rule["verbs"] if verb not in known["verbs"])]
    return list(result.values())


def text(rule: Object) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`, as refusals show a rule."""
    fields = ("apiGroups", "resources", "nonResourceURLs", "resourceNames", "verbs")
    names = ("APIGroups", "Resources", "NonResourceURLs", "ResourceNames", "Verbs")
    shown = [
        f"{name}:[{' '.join(_quoted(value) for value in rule[field])}]"
        for field, name in zip(fields, names, strict=True)
        if rule.get(field)
    ]
    return "{" + ", ".join(shown) + "}"


def _quoted(value: str) -> str:
    return f'"{value}"'
