"""What a kubelet may write: its own Node, its own pods' status, its own lease, tokens for its own pods.

Upstream: plugin/pkg/admission/noderestriction/admission.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster import resources as r
from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.authentication import current_user
from kubelab.cluster.apiserver.authorization.node import LEASES, name_of
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.requestinfo import RequestInfo

Object = dict[str, Any]
WRITES = ("create", "update", "patch", "delete")


def check(registry: Registry, info: RequestInfo, obj: Object | None = None) -> None:
    """Raises 403 for a node's write to what is not its own. `obj`: what is to be created."""
    user = current_user.get()
    node = name_of(user) if user is not None and info.verb in WRITES else None
    if not node:
        return
    name = info.name or ((obj or {}).get("metadata") or {}).get("name", "")
    why = ""
    if info.resource is r.NODES and name != node:
        why = f'node "{node}" is not allowed to modify node "{name}"'
    elif info.resource is r.PODS:
        why = _pod(registry, info, node)
    elif info.resource is r.LEASES and info.verb == "create" and (info.namespace != LEASES or name != node):
        why = "can only access node lease with the same name as the requesting node"
    elif info.resource is r.SERVICEACCOUNTS and info.subresource == "token":
        why = _token(registry, info, obj or {}, node)
    if why:
        raise errors.forbidden(info.resource, name, why)


def _pod(registry: Registry, info: RequestInfo, node: str) -> str:
    if info.verb == "create" and not info.subresource:
        return f'pod does not have "kubernetes.io/config.mirror" annotation, node "{node}" can only create mirror pods'
    if _on(registry, info.namespace, info.name) in (node, None):
        return ""
    if info.subresource == "status":
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if info.subresource == "eviction":
        return f'node "{node}" can only evict pods with spec.nodeName set to itself'
    return f'node "{node}" can only delete pods with spec.nodeName set to itself'


def _token(registry: Registry, info: RequestInfo, request: Object, node: str) -> str:
    bound = (request.get("spec") or {}).get("boundObjectRef")
    if not bound or bound.get("apiVersion") != "v1" or bound.get("kind") != r.PODS.kind or not bound.get("name"):
        return "node requested token not bound to a pod"
    if not bound.get("uid"):
        return "node requested token with a pod binding without a uid"
    if _on(registry, info.namespace, bound["name"]) != node:
        return "node requested token bound to a pod scheduled on a different node"
    return ""


def _on(registry: Registry, namespace: str, name: str) -> str | None:
    """The node of a pod; None where there is no such pod."""
    record = registry.store.get(registry.key(r.PODS, namespace, name))
    return None if record is None else record.load()["spec"].get("nodeName", "")
