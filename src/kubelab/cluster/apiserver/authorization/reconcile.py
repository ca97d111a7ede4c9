"""Makes the roles and bindings of `policy.py` and gives them back what they lost; what was added to them stays.

Upstream: pkg/registry/rbac/rest/storage_rbac.go (PostStartHook) and auth/rbac/reconciliation in component-helpers. An
object whose annotation `rbac.authorization.kubernetes.io/autoupdate` is not "true" is left alone.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver.authorization import controller_policy, policy, rules
from kubelab.cluster.apiserver.registry import Registry

Object = dict[str, Any]
AUTO_UPDATE = next(iter(policy.AUTO_UPDATE))
SYSTEM = "kube-system"


def run(registry: Registry) -> None:
    """At the start, when the system's namespaces are there."""
    for role in (*policy.CLUSTER_ROLES, *controller_policy.CLUSTER_ROLES):
        _ensure(registry, r.CLUSTERROLES, role)
    for binding in (*policy.CLUSTER_ROLE_BINDINGS, *controller_policy.CLUSTER_ROLE_BINDINGS):
        _ensure(registry, r.CLUSTERROLEBINDINGS, binding)
    for name, rule in policy.ROLES:
        meta = {"name": name, "labels": policy.LABEL, "annotations": policy.AUTO_UPDATE}
        _ensure(registry, r.ROLES, {"metadata": meta, "rules": [rule]}, SYSTEM)


def _ensure(registry: Registry, resource: r.Resource, wanted: Object, namespace: str = "") -> None:
    name = wanted["metadata"]["name"]
    record = registry.store.get(registry.key(resource, namespace, name))
    if record is None:
        fresh = {**wanted, "metadata": dict(wanted["metadata"])}
        registry.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **fresh}, namespace)
        return
    found, before = record.load(), record.load()
    meta = found["metadata"]
    if (meta.get("annotations") or {}).get(AUTO_UPDATE) != "true":
        return
    if "roleRef" in wanted and found["roleRef"] != wanted["roleRef"]:
        registry.remove(resource, record, found)
        _ensure(registry, resource, wanted, namespace)
        return
    meta["labels"] = {**wanted["metadata"]["labels"], **(meta.get("labels") or {})}
    if "roleRef" in wanted:
        lost = [subject for subject in wanted["subjects"] if subject not in (found.get("subjects") or ())]
        if lost:
            found["subjects"] = [*(found.get("subjects") or ()), *lost]
    elif "aggregationRule" in wanted:
        found["aggregationRule"] = wanted["aggregationRule"]
    else:
        held = found.get("rules") or []
        lost = [] if held == wanted["rules"] else rules.missing(held, wanted["rules"])
        if lost:
            found["rules"] = [*(found.get("rules") or ()), *rules.compact(lost)]
    if found != before:
        registry.update(resource, name, found, namespace)
