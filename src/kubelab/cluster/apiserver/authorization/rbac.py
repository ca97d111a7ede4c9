"""RBAC: who is bound to which roles, and what those allow.

Upstream: plugin/pkg/auth/authorizer/rbac/rbac.go and pkg/registry/rbac/validation/rule.go. Bindings are indexed by
their subjects; index and rules are made anew after a role or binding was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.authentication import User
from kubelab.cluster.apiserver.authorization.attributes import Attributes
from kubelab.cluster.apiserver.authorization.rules import Rule

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry

Object = dict[str, Any]
Subject = tuple[str, str]  # ("User" or "Group", name); a service account is the user that its tokens are
KINDS = (r.ROLES, r.CLUSTERROLES, r.ROLEBINDINGS, r.CLUSTERROLEBINDINGS)


@dataclass(frozen=True)
class Bound:
    """A binding as one of its subjects sees it. `namespace` is "" for a ClusterRoleBinding."""

    namespace: str
    name: str
    role: tuple[str, str]  # kind and name
    order: int
    subject: str  # as the reason of an answer shows it

    def __str__(self) -> str:
        kind, shown = ("RoleBinding", f"{self.name}/{self.namespace}") if self.namespace else (_CLUSTER, self.name)
        return f'{kind} "{shown}" of {self.role[0]} "{self.role[1]}" to {self.subject}'


_CLUSTER = "ClusterRoleBinding"


class RBAC:
    """Decides by the roles and bindings of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._seen: tuple[int, ...] = ()
        self._bound: dict[Subject, list[Bound]] = {}
        self._rules: dict[tuple[str, str, str], tuple[list[Object], list[Rule]]] = {}

    def authorize(self, a: Attributes) -> tuple[bool, str]:
        """(allowed, reason)."""
        problems: list[str] = []
        for bound in self.bindings(a.user, a.namespace):
            try:
                rules = self._role(bound)[1]
            except errors.StatusError as error:
                problems.append(str(error))
                continue
            if any(rule.allows(a) for rule in rules):
                return True, f"RBAC: allowed by {bound}"
        if not problems:
            return False, ""
        return False, f"RBAC: {problems[0] if len(problems) == 1 else '[' + ', '.join(problems) + ']'}"

    def rules_for(self, user: User, namespace: str) -> list[Object]:
        """Every PolicyRule that holds for a user in a namespace ("": cluster-wide)."""
        found: list[Object] = []
        for bound in self.bindings(user, namespace):
            try:
                found += self._role(bound)[0]
            except errors.StatusError:
                continue  # a binding to a role that is not there grants nothing
        return found

    def rules_of(self, role_ref: Object, namespace: str) -> list[Object]:
        """The rules of the role that a binding refers to. Raises 404."""
        return self._role_rules(role_ref["kind"], role_ref["name"], namespace)[0]

    def bindings(self, user: User, namespace: str) -> Iterator[Bound]:
        """Cluster role bindings first, then those of the namespace, each in the order of their names, each once."""
        self._refresh()
        found: dict[tuple[str, str], Bound] = {}
        for subject in (("User", user.name), *(("Group", group) for group in user.groups)):
            for bound in self._bound.get(subject, ()):
                if bound.namespace in ("", namespace):
                    key = (bound.namespace, bound.name)
                    if key not in found or bound.order < found[key].order:
                        found[key] = bound
        yield from sorted(found.values(), key=lambda bound: (bound.namespace, bound.name))

    def _role(self, bound: Bound) -> tuple[list[Object], list[Rule]]:
        return self._role_rules(*bound.role, bound.namespace)

    def _role_rules(self, kind: str, name: str, namespace: str) -> tuple[list[Object], list[Rule]]:
        self._refresh()
        resource, namespace = (r.ROLES, namespace) if kind == r.ROLES.kind else (r.CLUSTERROLES, "")
        known = self._rules.get((kind, namespace, name))
        if known is None:
            record = self._registry.store.get(self._registry.key(resource, namespace, name))
            if record is None:
                words = f'{resource.singular}.{resource.group} "{name}" not found'
                raise errors.StatusError(404, "NotFound", words, {"name": name, "group": resource.group})
            rules = record.load().get("rules") or []
            known = self._rules[kind, namespace, name] = rules, [Rule.of(rule) for rule in rules]
        return known

    def _refresh(self) -> None:
        writes = tuple(self._registry.writes[resource] for resource in KINDS)
        if writes == self._seen:
            return
        self._seen, self._bound, self._rules = writes, {}, {}
        for resource in (r.CLUSTERROLEBINDINGS, r.ROLEBINDINGS):
            for record in self._registry.records(resource):
                self._index(record.load())

    def _index(self, binding: Object) -> None:
        meta, role = binding["metadata"], binding["roleRef"]
        namespace = meta.get("namespace", "")
        for order, subject in enumerate(binding.get("subjects") or ()):
            kind, name = subject["kind"], subject["name"]
            shown, key = f'{kind} "{name}"', (kind, name)
            if kind == r.SERVICEACCOUNTS.kind:
                home = subject.get("namespace") or namespace
                shown, key = f'{kind} "{name}/{home}"', ("User", f"system:serviceaccount:{home}:{name}")
            bound = Bound(namespace, meta["name"], (role["kind"], role["name"]), order, shown)
            self._bound.setdefault(key, []).append(bound)
