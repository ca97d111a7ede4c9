"""Pods and nodes in their shortest form, for unit tests of controllers and scheduler."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def make_pod(
    name: str = "p",
    *,
    node: str = "",
    phase: str = "Running",
    ready: bool = False,
    ready_since: str = "2026-01-01T00:00:00Z",
    labels: dict[str, str] | None = None,
    metadata: Object | None = None,
    restarts: int = 0,
    ip: str = "",
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    container = {"name": "c", "image": "x", "resources": {"requests": requests or {}}}
    status: Object = {
        "phase": phase,
        "conditions": [
            {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ready_since},
        ],
        "containerStatuses": [{"name": "c", "restartCount": restarts}],
    }
    if ip:
        status["podIP"] = ip
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels or {},
            **(metadata or {}),
        },
        "spec": {"containers": [container], **({"nodeName": node} if node else {}), **spec},
        "status": status,
    }


def make_node(name: str = "n", *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **spec: Any) -> Object:
    labels = spec.pop("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"kubernetes.io/hostname": name, **labels},
        },
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
            "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}],
        },
    }


def owned_by(uid: str, kind: str = "ReplicaSet", name: str = "web") -> Object:
    """Metadata with a controller."""
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}
    return {"ownerReferences": [reference]}
