"""The node authorizer: a kubelet reads what its own pods need, and nothing of its neighbours'.

Upstream: plugin/pkg/auth/authorizer/node/{node_authorizer,graph}.go, pkg/auth/nodeidentifier, pkg/api/pod/util.go (the
secrets and config maps of a pod). A node is a user of the group `system:nodes` that is named `system:node:NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kubelab.cluster.apiserver.authentication import User
from kubelab.cluster.apiserver.authorization.attributes import Attributes
from kubelab.cluster.apiserver.authorization.policy import NODE_RULES
from kubelab.cluster.apiserver.authorization.rules import Rule
from kubelab.cluster.resources import PODS

if TYPE_CHECKING:
    from kubelab.cluster.apiserver.registry import Registry

Object = dict[str, Any]
Reference = tuple[str, str]  # ("secrets", "configmaps" or "serviceaccounts", name)
GROUP, PREFIX = "system:nodes", "system:node:"
LEASES = "kube-node-lease"


def name_of(user: User) -> str | None:
    """The node that a user is: None for one who is no node, "" for one that cannot be told."""
    if GROUP not in user.groups:
        return None
    return user.name.removeprefix(PREFIX) if user.name.startswith(PREFIX) else ""


class NodeAuthorizer:
    """`authorize` gives (allowed, reason); it has no opinion of users who are no nodes."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._rules = [Rule.of(rule) for rule in NODE_RULES]
        # Pod's key -> (revision, node, what it refers to): a pod is read again only after it was written.
        self._pods: dict[str, tuple[int, str, frozenset[Reference]]] = {}

    def authorize(self, a: Attributes) -> tuple[bool, str]:
        node = name_of(a.user)
        if node is None:
            return False, ""
        if not node:
            return False, f'unknown node for user "{a.user.name}"'
        if not a.path:
            if a.group == "" and a.resource in ("secrets", "configmaps"):
                return self._related(node, a) if a.verb in ("get", "list", "watch") else (False, _READ)
            if a.group == "" and a.resource == "serviceaccounts":
                return self._token(node, a)
            if (a.group, a.resource) == ("coordination.k8s.io", "leases"):
                return _lease(node, a)
            if a.group == "" and a.resource == "nodes":
                return _node(node, a)
            if a.group == "" and a.resource == "pods" and not a.subresource and a.verb in ("get", "list", "watch"):
                return self._pod(node, a)
        return any(rule.allows(a) for rule in self._rules), ""

    def _token(self, node: str, a: Attributes) -> tuple[bool, str]:
        if a.verb != "create" or not a.name:
            return False, "can only create tokens for individual service accounts"
        if a.subresource != "token":
            return False, "can only create token subresource of serviceaccount"
        return self._related(node, a)

    def _related(self, node: str, a: Attributes) -> tuple[bool, str]:
        if not a.namespace:
            return False, "can only read namespaced object of this type"
        if not a.name:
            return False, "No Object name found"
        wanted = (a.resource, a.name)
        if any(host == node and wanted in refers for host, refers in self._pods_in(a.namespace)):
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    def _pod(self, node: str, a: Attributes) -> tuple[bool, str]:
        if a.verb != "get" and not a.name:
            if f"spec.nodeName={node}" in a.field_selector.replace("==", "=").split(","):
                return True, ""
            return False, "can only list/watch pods with spec.nodeName field selector"
        record = self._registry.store.get(self._registry.key(PODS, a.namespace, a.name))
        if record is not None and record.load()["spec"].get("nodeName") == node:
            return True, ""
        return False, f"no relationship found between node '{node}' and this object"

    def _pods_in(self, namespace: str) -> Iterator[tuple[str, frozenset[Reference]]]:
        for record in self._registry.records(PODS, namespace):
            known = self._pods.get(record.key)
            if known is None or known[0] != record.revision:
                pod = record.load()
                known = record.revision, pod["spec"].get("nodeName", ""), frozenset(references(pod["spec"]))
                self._pods[record.key] = known
            yield known[1:]
        if len(self._pods) > 2 * len(self._registry.records(PODS)) + 100:
            self._pods.clear()


_READ = "can only read resources of this type"


def _lease(node: str, a: Attributes) -> tuple[bool, str]:
    if a.verb not in ("get", "create", "update", "patch", "delete"):
        return False, "can only get, create, update, patch, or delete a node lease"
    if a.namespace != LEASES:
        return False, f'can only access leases in the "{LEASES}" system namespace'
    if a.verb != "create" and a.name != node:
        return False, "can only access node lease with the same name as the requesting node"
    return True, ""


def _node(node: str, a: Attributes) -> tuple[bool, str]:
    """Create and change: admission compares the name. Read: its own Node only."""
    if a.subresource == "" and a.verb in ("create", "update", "patch"):
        return True, ""
    if a.subresource == "status" and a.verb in ("update", "patch"):
        return True, ""
    if a.subresource == "" and a.verb in ("get", "list", "watch"):
        if a.name == node:
            return True, ""
        which = f"'{a.name}'" if a.name else "all nodes"
        return False, f"node '{node}' cannot read {which}, only its own Node object"
    return False, ""


def references(spec: Object) -> Iterator[Reference]:
    """The secrets, config maps and the service account that a pod's spec names."""
    yield "serviceaccounts", spec.get("serviceAccountName") or "default"
    for secret in spec.get("imagePullSecrets") or ():
        yield "secrets", secret.get("name", "")
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for source in container.get("envFrom") or ():
            yield from _named(source, "secretRef", "configMapRef")
        for variable in container.get("env") or ():
            yield from _named(variable.get("valueFrom") or {}, "secretKeyRef", "configMapKeyRef")
    for volume in spec.get("volumes") or ():
        if volume.get("secret"):
            yield "secrets", volume["secret"].get("secretName", "")
        yield from _named(volume, "", "configMap")
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source, "secret", "configMap")


def _named(source: Object, secret: str, config_map: str) -> Iterator[Reference]:
    if secret and source.get(secret):
        yield "secrets", source[secret].get("name", "")
    if source.get(config_map):
        yield "configmaps", source[config_map].get("name", "")
