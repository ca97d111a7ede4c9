"""Roles and bindings: nobody grants what they do not hold themselves.

Upstream: pkg/registry/rbac/*/strategy.go, */policybased/storage.go, escalation_check.go, validation/rule.go
(ConfirmNoEscalation), pkg/apis/rbac/v1/defaults.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import errors, names
from kubelab.cluster.apiserver.authentication import User, current_user
from kubelab.cluster.apiserver.authorization import MASTERS, Attributes, rules
from kubelab.cluster.apiserver.fielderrors import FieldError
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import rbac as validation

Object = dict[str, Any]
EVERYTHING: list[Object] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


class _Guarded(Strategy):
    """What a user may not hand out is refused."""

    validate_name = staticmethod(names.path_segment)

    def admit(self, registry: Registry, obj: Object, old: Object | None) -> None:
        user = current_user.get()
        if user is None or MASTERS in user.groups or (old is not None and self._same(obj, old)):
            return
        self._check(registry, user, obj)

    def _same(self, obj: Object, old: Object) -> bool:
        """Nothing is granted by this update."""
        raise NotImplementedError

    def _check(self, registry: Registry, user: User, obj: Object) -> None:
        raise NotImplementedError

    def _may(self, registry: Registry, user: User, verb: str, resource: r.Resource, obj: Object, name: str) -> bool:
        """An explicit right to `escalate` a role or to `bind` one."""
        namespace = obj["metadata"].get("namespace", "")
        asked = Attributes(user, verb, resource.group, resource.version, resource.plural, "", namespace, name)
        return registry.authorizer.authorize(asked)[0]

    def _confirm(self, registry: Registry, user: User, obj: Object, granted: list[Object]) -> None:
        """Raises 403, listing what the user lacks."""
        namespace = obj["metadata"].get("namespace", "")
        lacking = rules.missing(registry.authorizer.rbac.rules_for(user, namespace), granted)
        if lacking:
            groups = " ".join(f'"{group}"' for group in user.groups)
            shown = "\n".join(sorted({rules.text(rule) for rule in rules.compact(lacking)}))
            why = (
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n'
                f"{shown}"
            )
            raise errors.forbidden(self.resource, obj["metadata"].get("name", ""), why)


class RoleStrategy(_Guarded):
    def default(self, obj: Object) -> None:
        obj.setdefault("rules", [])

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.role(obj, namespaced=True)

    def _same(self, obj: Object, old: Object) -> bool:
        return obj.get("rules") == old.get("rules")

    def _check(self, registry: Registry, user: User, obj: Object) -> None:
        if not self._may(registry, user, "escalate", self.resource, obj, obj["metadata"].get("name", "")):
            self._confirm(registry, user, obj, obj.get("rules") or [])


class ClusterRoleStrategy(RoleStrategy):
    def validate(self, obj: Object) -> list[FieldError]:
        return validation.role(obj, namespaced=False) + validation.aggregation(obj)

    def _same(self, obj: Object, old: Object) -> bool:
        return super()._same(obj, old) and obj.get("aggregationRule") == old.get("aggregationRule")

    def _check(self, registry: Registry, user: User, obj: Object) -> None:
        if self._may(registry, user, "escalate", self.resource, obj, obj["metadata"].get("name", "")):
            return
        held = registry.authorizer.rbac.rules_for(user, "")
        if obj.get("aggregationRule") is not None and rules.missing(held, EVERYTHING):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise errors.forbidden(self.resource, obj["metadata"].get("name", ""), why)
        self._confirm(registry, user, obj, obj.get("rules") or [])


class RoleBindingStrategy(_Guarded):
    def default(self, obj: Object) -> None:
        ref = obj.setdefault("roleRef", {})
        ref["apiGroup"] = ref.get("apiGroup") or validation.GROUP
        for subject in obj.get("subjects") or ():
            if subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = subject.get("apiGroup") or validation.GROUP

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.binding(obj, namespaced=self.resource.namespaced)

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate(obj) + validation.same_role(obj, old)

    def _same(self, obj: Object, old: Object) -> bool:
        return all(obj.get(field) == old.get(field) for field in ("roleRef", "subjects"))

    def _check(self, registry: Registry, user: User, obj: Object) -> None:
        ref = obj["roleRef"]
        if self.validate(obj):
            return  # validation says what is wrong with it
        role = r.ROLES if ref["kind"] == r.ROLES.kind else r.CLUSTERROLES
        if self._may(registry, user, "bind", role, obj, ref["name"]):
            return
        namespace = obj["metadata"].get("namespace", "")
        self._confirm(registry, user, obj, registry.authorizer.rbac.rules_of(ref, namespace))
