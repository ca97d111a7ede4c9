"""The schema of metrics.k8s.io/v1beta1, which is not part of Kubernetes' own.

Upstream: staging/src/k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go; metrics-server publishes it.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.resources import METRICS, Resource

Object = dict[str, Any]
PACKAGE = "io.k8s.metrics.pkg.apis.metrics.v1beta1."
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
USAGE = {
    "description": "CPU time used per second of the window, and the working set of the memory.",
    "type": "object",
    "additionalProperties": {"$ref": "io.k8s.apimachinery.pkg.api.resource.Quantity"},
}
SPAN: Object = {
    "timestamp": {"description": "The end of the time that was measured.", "$ref": META + "Time"},
    "window": {"description": "How long that time was, such as 15.0s.", "$ref": META + "Duration"},
}
CONTAINERS = {
    "description": "One entry a container, all of the same window.",
    "type": "array",
    "items": {"$ref": PACKAGE + "ContainerMetrics"},
}
OF_KIND: dict[str, tuple[str, Object]] = {
    "NodeMetrics": ("What a node uses.", {**SPAN, "usage": USAGE}),
    "PodMetrics": ("What the containers of a pod use.", {**SPAN, "containers": CONTAINERS}),
}


def definitions() -> dict[str, Object]:
    """{name: schema}, in the form of `apiserver.schema.definitions`, of which it names some."""
    container = {"name": {"description": "The container's name in the pod's spec.", "type": "string"}, "usage": USAGE}
    made = {PACKAGE + "ContainerMetrics": _struct("What a container uses.", container, list(container))}
    made[META + "Duration"] = {"description": "A duration as Go writes it: 1m30s.", "type": "string"}
    for resource in METRICS:
        made |= _kind(resource)
    return made


def _kind(resource: Resource) -> dict[str, Object]:
    """The kind and its list."""
    words, fields = OF_KIND[resource.kind]
    one = {**_head("ObjectMeta"), **fields}
    items = {"description": "The figures.", "type": "array", "items": {"$ref": PACKAGE + resource.kind}}
    made = {resource.kind: _struct(words, one, list(fields))}
    made[resource.list_kind] = _struct(f"A list of {resource.kind}.", {**_head("ListMeta"), "items": items}, ["items"])
    for kind, schema in made.items():
        gvk = {"group": resource.group, "version": resource.version, "kind": kind}
        schema["x-kubernetes-group-version-kind"] = [gvk]
    return {PACKAGE + kind: schema for kind, schema in made.items()}


def _head(meta: str) -> Object:
    return {
        "apiVersion": {"description": "The group and version of this form of the object.", "type": "string"},
        "kind": {"description": "The kind of the object.", "type": "string"},
        "metadata": {"description": "Standard metadata.", "$ref": META + meta},
    }


def _struct(description: str, properties: Object, required: list[str]) -> Object:
    return {"description": description, "type": "object", "properties": properties, "required": required}
