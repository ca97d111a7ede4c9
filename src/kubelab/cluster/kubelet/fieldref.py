"""The downward API: a pod's own fields and its containers' resources, as text.

Upstream: pkg/fieldpath/fieldpath.go, podFieldSelectorRuntimeValue in kubelet_pods.go, pkg/api/v1/resource/helpers.go.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]$")


@dataclass(frozen=True)
class Runtime:
    """What only the node knows: addresses, and what it can allocate (as the API's quantities)."""

    host_ip: str
    pod_ip: str
    allocatable: dict[str, str]


def field_value(pod: Pod, path: str, runtime: Runtime) -> str:
    """The value of `fieldRef.fieldPath`. ValueError in upstream's words for a path that cannot be had."""
    match = _SUBSCRIPT.match(path)
    if match:
        return pod["metadata"].get(match.group(1), {}).get(match.group(2), "")
    if path in ("metadata.labels", "metadata.annotations"):
        return _format_map(pod["metadata"].get(path.rpartition(".")[2], {}))
    values = {
        "metadata.name": podutil.name(pod),
        "metadata.namespace": podutil.namespace(pod),
        "metadata.uid": podutil.uid(pod),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.hostIP": runtime.host_ip,
        "status.hostIPs": runtime.host_ip,
        "status.podIP": runtime.pod_ip,
        "status.podIPs": runtime.pod_ip,
    }
    if path not in values:
        raise ValueError(f"unsupported fieldPath: {path}")
    return values[path]


def _format_map(values: dict[str, str]) -> str:
    return "\n".join(f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values))


def resource_value(container: Container, reference: dict[str, Any], runtime: Runtime) -> str:
    """The value of `resourceFieldRef`; a limit that is not set is what the node can allocate."""
    kind, _, resource = reference["resource"].partition(".")
    if kind not in ("limits", "requests"):
        raise ValueError(f"unsupported container resource : {reference['resource']}")
    given = container.get("resources") or {}
    text = (given.get(kind) or {}).get(resource)
    if text is None and kind == "limits":
        text = runtime.allocatable.get(resource)
    divisor = quantity.parse(reference.get("divisor") or "1") or quantity.parse("1")
    return str(math.ceil(quantity.parse(text or "0") / divisor))
