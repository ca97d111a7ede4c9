"""Authorization: every request is decided by the authorizers in turn; the first that allows it has the last word.

Upstream: `--authorization-mode=Node,RBAC` (pkg/kubeapiserver/authorizer), before them the group `system:masters`, which
may do everything (k8s.io/apiserver/pkg/authorization/authorizerfactory, NewPrivilegedGroups).

| file | concept |
| --- | --- |
| `attributes.py` | what is asked, and how a refusal reads |
| `rules.py` | what a policy rule allows |
| `rbac.py` | roles and bindings |
| `node.py` | kubelets |
| `policy.py`, `controller_policy.py`, `reconcile.py` | the roles that a new cluster has, and that come back |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelab.cluster.apiserver.authentication import User
from kubelab.cluster.apiserver.authorization.attributes import Attributes, forbidden
from kubelab.cluster.apiserver.authorization.node import NodeAuthorizer, name_of
from kubelab.cluster.apiserver.authorization.rbac import RBAC

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry

__all__ = ["MASTERS", "Attributes", "Authorizer", "forbidden"]

Object = dict[str, Any]
MASTERS = "system:masters"


class Authorizer:
    """Decides about requests on a registry."""

    def __init__(self, registry: Registry) -> None:
        self.rbac = RBAC(registry)
        self._node = NodeAuthorizer(registry)

    def authorize(self, a: Attributes) -> tuple[bool, str]:
        """(allowed, reason)."""
        if MASTERS in a.user.groups:
            return True, ""
        reasons = []
        for authorizer in (self._node, self.rbac):
            allowed, reason = authorizer.authorize(a)
            if allowed:
                return True, reason
            reasons.append(reason)
        return False, "\n".join(filter(None, reasons))

    def check(self, a: Attributes) -> None:
        """Raises 403 where it is not allowed."""
        allowed, reason = self.authorize(a)
        if not allowed:
            raise forbidden(a, reason)

    def rules_for(self, user: User, namespace: str) -> Object:
        """The status of a SelfSubjectRulesReview."""
        found = [_EVERYTHING, _EVERY_PATH] if MASTERS in user.groups else self.rbac.rules_for(user, namespace)
        resource_fields = ("verbs", "apiGroups", "resources", "resourceNames")
        status: Object = {
            "resourceRules": [{k: x[k] for k in resource_fields if x.get(k)} for x in found if x.get("resources")],
            "nonResourceRules": [
                {k: x[k] for k in ("verbs", "nonResourceURLs")} for x in found if x.get("nonResourceURLs")
            ],
            "incomplete": False,
        }
        if name_of(user) is not None:
            status |= {"incomplete": True, "evaluationError": "node authorizer does not support user rule resolution"}
        return status


_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_EVERY_PATH = {"verbs": ["*"], "nonResourceURLs": ["*"]}
