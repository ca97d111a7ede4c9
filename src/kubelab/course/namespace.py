"""A chapter's own namespace: made when it is not there, emptied of what an earlier run left."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException

from . import api
from .errors import LabError
from .manifest import PART_OF
from .waiting import until
from .watching import snapshots

CLEAR_TIMEOUT = 60  # seconds for the pods of an earlier run to be gone
BY_CONTROLLERS = ("events", "endpoints", "endpointslices")  # Services' own go with them, and events at the end
OF_EACH_NAMESPACE = {"serviceaccounts": ("default",), "configmaps": ("kube-root-ca.crt",)}


def ensure(core: client.CoreV1Api, name: str) -> None:
    """Make the namespace with the course's label. LabError: one of that name is there and is not the course's.

    Returns when pods can be made in it: admission refuses them until the default ServiceAccount is there.
    """
    try:
        core.create_namespace({"metadata": {"name": name, "labels": PART_OF}})
    except ApiException as error:
        if error.status != 409:
            raise
        labels = core.read_namespace(name).metadata.labels or {}
        if not PART_OF.items() <= labels.items():
            raise LabError(
                f"the namespace {name} is not the course's (it lacks the label app.kubernetes.io/part-of=kubelab)."
            ) from None
    until(
        core.list_namespaced_service_account,
        name,
        condition=bool,
        what=f"serviceaccount/default in {name}",
        timeout=CLEAR_TIMEOUT,
        field_selector="metadata.name=default",
    )


def clear(k8s: client.ApiClient, name: str) -> None:
    """Delete whatever an earlier run left in the namespace, owners before pods, and wait until the pods are gone.

    What the cluster itself puts into each namespace (the default ServiceAccount, the root certificate) stays, as does
    what has an owner or is written by a controller: it goes with its cause. LabError: pods do not go.
    """
    for path, items in _contents(k8s, name):
        for found in items:
            api.request(k8s, "DELETE", f"{path}/{found['name']}", {"propagationPolicy": "Background"}, CLEAR_TIMEOUT)
    core = client.CoreV1Api(k8s)
    deadline = time.monotonic() + CLEAR_TIMEOUT
    for pods in snapshots(core.list_namespaced_pod, name, stop=threading.Event(), deadline=deadline):
        if not pods:
            api.request(k8s, "DELETE", f"/api/v1/namespaces/{name}/events", timeout=CLEAR_TIMEOUT)
            return
    raise LabError(f"{', '.join(sorted(pods))} of an earlier run are still in {name}. Next: run `kubelab doctor`.")


def _contents(k8s: client.ApiClient, name: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """(path of a collection, metadata of what is to be deleted in it), pods last."""
    collections = sorted(_collections(k8s, name), key=lambda path: path.endswith("/pods"))
    for path in collections:
        answer = api.request(k8s, "GET", path, timeout=CLEAR_TIMEOUT)
        found = [item["metadata"] for item in answer.json()["items"]] if answer.ok else []
        kept = OF_EACH_NAMESPACE.get(path.rpartition("/")[2], ())
        yield path, [meta for meta in found if not meta.get("ownerReferences") and meta["name"] not in kept]


def _collections(k8s: client.ApiClient, name: str) -> Iterator[str]:
    """The path of each kind of namespaced object that can be listed and deleted, as discovery names them."""
    groups = api.request(k8s, "GET", "/apis").json()["groups"]
    for prefix in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        answer = api.request(k8s, "GET", prefix)
        for found in answer.json()["resources"] if answer.ok else ():
            deletable = found["namespaced"] and {"list", "delete"} <= set(found["verbs"])
            if deletable and found["name"] not in BY_CONTROLLERS:
                yield f"{prefix}/namespaces/{name}/{found['name']}"


def remove(core: client.CoreV1Api, name: str) -> None:
    """Delete the namespace with everything in it, and wait until it is gone. NotInTime after CLEAR_TIMEOUT seconds."""
    core.delete_namespace(name)
    until(
        core.list_namespace,
        condition=lambda found: not found,
        what=f"namespace/{name} deleted",
        timeout=CLEAR_TIMEOUT,
        field_selector=f"metadata.name={name}",
    )
