"""Subresources that are views of an object or acts on it: scale, binding, eviction, finalize.

Upstream: pkg/registry/core/{pod,namespace,replicationcontroller}/storage, pkg/registry/apps/*/storage.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import errors, eviction, serviceaccounts
from kubelab.cluster.apiserver.fielderrors import FieldError, invalid, required
from kubelab.cluster.apiserver.labelselector import to_string
from kubelab.cluster.apiserver.registry import Options, Registry
from kubelab.cluster.apiserver.requestinfo import RequestInfo
from kubelab.cluster.resources import PODS, Resource

Object = dict[str, Any]


def kind_of(resource: Resource, subresource: str) -> tuple[str, str]:
    """apiVersion and kind of what a subresource reads and writes; the object's own for "" and `status`."""
    sub = resource.subresource(subresource)
    if sub is None or not sub.kind:
        return resource.api_version, resource.kind
    return (f"{sub.group}/{sub.version}" if sub.group else "v1"), sub.kind


def create(registry: Registry, info: RequestInfo, obj: Object, options: Options) -> Object:
    """POST to a subresource of pods or service accounts."""
    act = {"binding": _bind, "eviction": eviction.evict, "token": _token}[info.subresource]
    return act(registry, info, obj, options)


# -- scale


def scale_of(resource: Resource, obj: Object) -> Object:
    """The autoscaling/v1 Scale of a ReplicationController, ReplicaSet or Deployment."""
    meta, status = obj["metadata"], obj.get("status") or {}
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale: Object = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": (obj.get("spec") or {}).get("replicas", 0)},
        "status": {"replicas": status.get("replicas", 0)},
    }
    selector = (obj.get("spec") or {}).get("selector")
    if selector:
        scale["status"]["selector"] = to_string(selector)
    return scale


def update_scale(registry: Registry, info: RequestInfo, scale: Object, options: Options) -> Object:
    """Set spec.replicas of the object from a Scale, under the Scale's resourceVersion where it has one."""
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        problem = invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("Scale", "autoscaling", info.name, [problem])
    obj = registry.get(info.resource, info.name, info.namespace)
    given = scale.get("metadata") or {}
    for key in ("uid", "resourceVersion"):
        if given.get(key):
            obj["metadata"][key] = given[key]
    obj["spec"]["replicas"] = replicas
    return scale_of(info.resource, registry.update(info.resource, info.name, obj, info.namespace, options))


# -- pods


def _bind(registry: Registry, info: RequestInfo, binding: Object, options: Options) -> Object:
    """The scheduler's decision: sets spec.nodeName, once."""
    target = binding.get("target") or {}
    problems: list[FieldError] = []
    if target.get("kind") not in (None, "", "Node"):
        problems.append(FieldError("target.kind", "FieldValueNotSupported", _unsupported(target["kind"])))
    if not target.get("name"):
        problems.append(required("target.name"))
    if problems:
        raise errors.invalid("Binding", "", info.name, problems)
    record = registry.record(PODS, info.name, info.namespace)
    old, pod = record.load(), record.load()
    given = (binding.get("metadata") or {}).get("uid")
    if given and given != pod["metadata"]["uid"]:
        raise errors.other_uid(PODS, pod["metadata"], given)
    if pod["metadata"].get("deletionTimestamp"):
        raise errors.conflict(PODS, info.name, f"pod {info.name} is being deleted, cannot be assigned to a host")
    if pod["spec"].get("nodeName"):
        words = f'pod {info.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
        raise errors.conflict(PODS, info.name, words)
    pod["spec"]["nodeName"] = target["name"]
    annotations = (binding.get("metadata") or {}).get("annotations")
    if annotations:
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
    _scheduled(pod, registry.now())
    if not options.dry_run:
        registry.replace(PODS, record, pod, old)
    return errors.status(201, "", "", success=True)


def _unsupported(kind: str) -> str:
    return f'Unsupported value: "{kind}": supported values: "Node", "<empty>"'


def _scheduled(pod: Object, now: str) -> None:
    status = pod.setdefault("status", {})
    others = [c for c in status.get("conditions") or () if c["type"] != "PodScheduled"]
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
    status["conditions"] = [*others, condition]


# -- service accounts


def _token(registry: Registry, info: RequestInfo, request: Object, options: Options) -> Object:
    """A token is not an object: a dry run makes one like any other."""
    return serviceaccounts.request(registry, info, request)


# -- namespaces


def finalize(registry: Registry, info: RequestInfo, obj: Object, options: Options) -> Object:
    """Set spec.finalizers, which a normal update of a namespace cannot; the last one gone, so is the namespace."""
    record = registry.record(info.resource, info.name)
    old, namespace = record.load(), record.load()
    version = (obj.get("metadata") or {}).get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(info.resource, info.name)
    namespace["spec"] = obj.get("spec") or {}
    if options.dry_run or namespace == old:
        return namespace
    return registry.replace(info.resource, record, namespace, old)
