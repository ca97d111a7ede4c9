"""Roles and bindings. Upstream: pkg/apis/rbac/validation/validation.go."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, GoValue, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import label_selector

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
KINDS = ("ServiceAccount", "User", "Group")


def role(obj: Object, *, namespaced: bool) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, rule in enumerate(obj.get("rules") or ()):
        problems += _rule(rule, f"rules[{index}]", namespaced)
    return problems


def _rule(rule: Object, path: str, namespaced: bool) -> list[FieldError]:
    problems = [] if rule.get("verbs") else [required(f"{path}.verbs", "verbs must contain at least one value")]
    urls, resources = rule.get("nonResourceURLs"), rule.get("resources") or ()
    if urls:
        if namespaced:
            text = "namespaced rules cannot apply to non-resource URLs"
            problems.append(invalid(f"{path}.nonResourceURLs", urls, text))
        if rule.get("apiGroups") or resources or rule.get("resourceNames"):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            problems.append(invalid(f"{path}.nonResourceURLs", urls, text))
        return problems
    if not rule.get("apiGroups"):
        problems.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not resources:
        problems.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return problems


def aggregation(obj: Object) -> list[FieldError]:
    """A ClusterRole's aggregationRule."""
    rule = obj.get("aggregationRule")
    if rule is None:
        return []
    selectors = rule.get("clusterRoleSelectors") or ()
    path = "aggregationRule.clusterRoleSelectors"
    if not selectors:
        return [required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")]
    return [problem for i, selector in enumerate(selectors) for problem in label_selector(selector, f"{path}[{i}]")]


def binding(obj: Object, *, namespaced: bool) -> list[FieldError]:
    problems: list[FieldError] = []
    ref = obj.get("roleRef") or {}
    if ref.get("apiGroup") != GROUP:
        problems.append(not_supported("roleRef.apiGroup", ref.get("apiGroup", ""), (GROUP,)))
    kinds = ("Role", "ClusterRole") if namespaced else ("ClusterRole",)
    if ref.get("kind") not in kinds:
        problems.append(not_supported("roleRef.kind", ref.get("kind", ""), kinds))
    if not ref.get("name"):
        problems.append(required("roleRef.name"))
    else:
        problems += [invalid("roleRef.name", ref["name"], text) for text in names.path_segment(ref["name"])]
    for index, subject in enumerate(obj.get("subjects") or ()):
        problems += _subject(subject, f"subjects[{index}]", namespaced)
    return problems


def same_role(obj: Object, old: Object) -> list[FieldError]:
    """A binding refers to one role for as long as it lives: another role is another binding."""
    ref = obj.get("roleRef")
    if ref == old.get("roleRef"):
        return []
    shown = ref or {}
    group, kind, name = (shown.get(key, "") for key in ("apiGroup", "kind", "name"))
    value = GoValue(f'rbac.RoleRef{{APIGroup:"{group}", Kind:"{kind}", Name:"{name}"}}')
    return [invalid("roleRef", value, "cannot change roleRef")]


def _subject(subject: Object, path: str, namespaced: bool) -> list[FieldError]:
    kind, name, group = (subject.get(key) or "" for key in ("kind", "name", "apiGroup"))
    problems = [] if name else [required(f"{path}.name")]
    if kind == "ServiceAccount":
        problems += [invalid(f"{path}.name", name, text) for text in names.dns1123_subdomain(name) if name]
        if group:
            problems.append(not_supported(f"{path}.apiGroup", group, ("",)))
        if not namespaced and not subject.get("namespace"):
            problems.append(required(f"{path}.namespace"))
    elif kind in KINDS:
        if not name:
            problems.append(invalid(f"{path}.name", name, f"{kind.lower()} name cannot be empty"))
        if group != GROUP:
            problems.append(not_supported(f"{path}.apiGroup", group, (GROUP,)))
    else:
        problems.append(not_supported(f"{path}.kind", kind, KINDS))
    return problems
