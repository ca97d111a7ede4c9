"""A pod with one thing changed in its description: of a pod on its own by making it anew, else in its owner's template.

Most of a pod's spec cannot be changed while it runs (upstream: pkg/apis/core/validation, ValidatePodUpdate), so that
`kubectl replace --force` deletes and creates it, and so does this. A Deployment rolls its new template out by itself;
the other owners only use it for the next pod, so the pod is deleted.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from kubernetes.client.rest import ApiException

from .errors import LabError, NotInTime
from .manifest import message
from .watching import snapshots

if TYPE_CHECKING:
    from .lab import Lab

GONE_TIMEOUT = 40  # seconds for the old pod to be gone: upstream's grace period, and a little
TEMPLATES = {  # owner -> how the client patches it
    "Deployment": ("apps", "patch_namespaced_deployment"),
    "ReplicaSet": ("apps", "patch_namespaced_replica_set"),
    "DaemonSet": ("apps", "patch_namespaced_daemon_set"),
    "ReplicationController": ("core", "patch_namespaced_replication_controller"),
}
SET_BY_SYSTEM = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")


def first_container(lab: Lab, pod: str) -> str:
    return lab.read(f"pod/{pod}")["spec"]["containers"][0]["name"]


def change(lab: Lab, pod: str, patch: dict[str, Any]) -> None:
    """Apply a strategic merge patch to a pod's description. LabError: the pod is not there, or it was refused."""
    found = lab.read(f"pod/{pod}")
    kind, name = owner(lab, found)
    try:
        if not kind:
            return _make_anew(lab, found, patch)
        client, method = TEMPLATES[kind]
        getattr(getattr(lab, client), method)(name, lab.namespace, {"spec": {"template": patch}})
        if kind != "Deployment":
            lab.core.delete_namespaced_pod(pod, lab.namespace)
    except ApiException as error:
        raise LabError(f"{pod} was not changed: {message(error)}") from error


def owner(lab: Lab, pod: dict[str, Any]) -> tuple[str, str]:
    """The kind and name of what a pod's template is in, ("", "") of a pod on its own."""
    controller = _controller(pod)
    if controller.get("kind") == "ReplicaSet":
        above = _controller(lab.read(f"replicaset/{controller['name']}"))
        controller = above or controller
    if controller and controller["kind"] not in TEMPLATES:
        raise LabError(
            f"{pod['metadata']['name']} belongs to a {controller['kind']}; the course does not change those."
        )
    return controller.get("kind", ""), controller.get("name", "")


def _controller(obj: dict[str, Any]) -> dict[str, Any]:
    owners = obj["metadata"].get("ownerReferences") or []
    return next((found for found in owners if found.get("controller")), {})


def _make_anew(lab: Lab, pod: dict[str, Any], patch: dict[str, Any]) -> None:
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    metadata = {key: value for key, value in pod["metadata"].items() if key not in SET_BY_SYSTEM}
    spec = {key: value for key, value in pod["spec"].items() if key != "nodeName"}
    new = merged({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, patch)
    lab.core.create_namespaced_pod(
        lab.namespace, {**new, "metadata": {**metadata, "name": f"{name}-dry-run"}}, dry_run="All"
    )
    lab.core.delete_namespaced_pod(name, lab.namespace)
    deadline = time.monotonic() + GONE_TIMEOUT
    for found in snapshots(lab.core.list_namespaced_pod, lab.namespace, stop=threading.Event(), deadline=deadline):
        if name not in found or found[name]["metadata"]["uid"] != uid:
            lab.core.create_namespaced_pod(lab.namespace, new)
            return
    raise NotInTime(
        f"{name} was not gone after {GONE_TIMEOUT} s, and is not made anew. Next: `lab.events('pod/{name}')`."
    )


def merged(base: Any, patch: Any) -> Any:
    """A strategic merge, as far as a pod needs it: lists of things with names are merged by name; null takes away."""
    if isinstance(base, dict) and isinstance(patch, dict):
        found = {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(base, list) and isinstance(patch, list) and all("name" in each for each in (*base, *patch)):
        by_name = {each["name"]: each for each in base}
        by_name |= {each["name"]: merged(by_name.get(each["name"]), each) for each in patch}
        return list(by_name.values())
    return patch
