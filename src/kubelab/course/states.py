"""What a recording keeps of an object: what its picture and the questions about it need, and nothing that ticks.

One function a kind, from the object as in YAML to a small dict of plain JSON values. Times, managed fields and
heartbeats are left out, so that two states differ only where something happened. Field names are the API's where one
field is taken as it is; what is computed has the name of kubectl's column.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import pods as podstatus
from .endpoints import readiness

Object = dict[str, Any]
State = dict[str, Any]


def of(kind: str, obj: Object) -> State:
    """The state of an object; {} of a kind that is recorded only by its coming and going."""
    found = STATES[kind](obj) if kind in STATES else {}
    if owner := _owner(obj):
        found["owner"] = owner
    return found


def changed(before: State, after: State) -> dict[str, list[Any]]:
    """What differs: key -> [before, after], None where there was or is nothing."""
    keys = sorted({*before, *after})
    return {key: [before.get(key), after.get(key)] for key in keys if before.get(key) != after.get(key)}


def pod(obj: Object) -> State:
    """ "status", "ready" and "restarts" are the columns of `kubectl get pods`."""
    status = obj.get("status", {})
    return {
        "status": podstatus.status(obj),
        "ready": podstatus.ready_containers(obj),
        "Ready": podstatus.is_ready(obj),
        "restarts": podstatus.restarts(obj),
        "phase": status.get("phase", "Pending"),
        "reason": status.get("reason", ""),
        "node": podstatus.node(obj),
        "podIP": status.get("podIP", ""),
        "terminating": podstatus.is_terminating(obj),
        "scheduled": _condition(obj, "PodScheduled").get("reason", ""),
        "labels": obj["metadata"].get("labels") or {},
        "containers": {found["name"]: _container(found) for found in podstatus.container_statuses(obj)},
    }


def event(obj: Object) -> State:
    about = obj["involvedObject"]
    return {
        "type": obj.get("type", ""),
        "reason": obj.get("reason", ""),
        "message": obj.get("message", ""),
        "about": f"{about.get('kind', '')}/{about.get('name', '')}",
        "uid": about.get("uid", ""),
        "count": obj.get("count") or (obj.get("series") or {}).get("count") or 1,
    }


def copies(obj: Object) -> State:
    """Deployment, ReplicaSet, ReplicationController."""
    status = obj.get("status", {})
    return {
        "replicas": obj["spec"].get("replicas", 1),
        "there": status.get("replicas", 0),
        "readyReplicas": status.get("readyReplicas", 0),
        "availableReplicas": status.get("availableReplicas", 0),
        "updatedReplicas": status.get("updatedReplicas", 0),
        "observed": status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 0),
        "image": _image(obj),
    }


def daemon_set(obj: Object) -> State:
    status = obj.get("status", {})
    return {
        "replicas": status.get("desiredNumberScheduled", 0),
        "there": status.get("currentNumberScheduled", 0),
        "readyReplicas": status.get("numberReady", 0),
        "image": _image(obj),
    }


def job(obj: Object) -> State:
    status = obj.get("status", {})
    ended = next((c for c in status.get("conditions") or [] if c["status"] == "True"), {})
    return {
        "completions": obj["spec"].get("completions"),
        "active": status.get("active", 0),
        "succeeded": status.get("succeeded", 0),
        "failed": status.get("failed", 0),
        "condition": ended.get("type", ""),
        "reason": ended.get("reason", ""),
    }


def cron_job(obj: Object) -> State:
    active = obj.get("status", {}).get("active") or []
    return {"suspend": bool(obj["spec"].get("suspend")), "active": [found["name"] for found in active]}


def endpoint_slice(obj: Object) -> State:
    """ "pods": the name of each pod behind the service -> whether it gets the service's requests."""
    labels = obj["metadata"].get("labels") or {}
    return {"service": labels.get("kubernetes.io/service-name", ""), "pods": readiness([obj])}


def node(obj: Object) -> State:
    ready = _condition(obj, "Ready")
    spec = obj.get("spec", {})
    return {
        "Ready": ready.get("status") == "True",
        "reason": ready.get("reason", ""),
        "taints": sorted(f"{taint['key']}:{taint['effect']}" for taint in spec.get("taints") or []),
        "unschedulable": bool(spec.get("unschedulable")),
    }


def _container(status: Object) -> State:
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    name = next(iter(state), "waiting")
    found = {
        "state": name,
        "reason": (state.get(name) or {}).get("reason", ""),
        "exitCode": (state.get(name) or {}).get("exitCode"),
        "restarts": status.get("restartCount", 0),
        "ready": bool(status.get("ready")),
        "started": bool(status.get("started")),
        "image": status.get("image", ""),
    }
    found["last"] = {"reason": last.get("reason", ""), "exitCode": last.get("exitCode", 0)} if last else None
    return found


def _condition(obj: Object, kind: str) -> Object:
    conditions = obj.get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == kind), {})


def _owner(obj: Object) -> str:
    """ "ReplicaSet/web-5d8f", the controller among the owners."""
    owners = obj["metadata"].get("ownerReferences") or []
    return next((f"{owner['kind']}/{owner['name']}" for owner in owners if owner.get("controller")), "")


def _image(obj: Object) -> str:
    containers = obj["spec"].get("template", {}).get("spec", {}).get("containers") or [{}]
    return containers[0].get("image", "")


STATES: dict[str, Callable[[Object], State]] = {
    "Pod": pod,
    "Event": event,
    "Deployment": copies,
    "ReplicaSet": copies,
    "ReplicationController": copies,
    "DaemonSet": daemon_set,
    "Job": job,
    "CronJob": cron_job,
    "EndpointSlice": endpoint_slice,
    "Node": node,
}
