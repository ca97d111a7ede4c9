"""A chapter's own namespace: made when it is not there, emptied of what an earlier run left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client
from kubernetes.client.rest import ApiException

from .errors import LabError
from .manifest import PART_OF
from .waiting import until
from .watching import snapshots

CLEAR_TIMEOUT = 60  # seconds for the pods of an earlier run to be gone


def ensure(core: client.CoreV1Api, name: str) -> None:
    """Make the namespace with the course's label. LabError: one of that name is there and is not the course's."""
    try:
        core.create_namespace({"metadata": {"name": name, "labels": PART_OF}})
        return
    except ApiException as error:
        if error.status != 409:
            raise
    labels = core.read_namespace(name).metadata.labels or {}
    if not PART_OF.items() <= labels.items():
        raise LabError(
            f"the namespace {name} is not the course's (it lacks the label app.kubernetes.io/part-of=kubelab)."
        )


def clear(api: client.ApiClient, name: str) -> None:
    """Delete what the course puts into namespaces, owners first, and wait until the pods are gone."""
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    for kind, owner in (
        ("deployment", apps),
        ("replica_set", apps),
        ("replication_controller", core),
        ("service", core),
        ("pod", core),
    ):
        _delete_all(owner, kind, name)
    deadline = time.monotonic() + CLEAR_TIMEOUT
    for pods in snapshots(core.list_namespaced_pod, name, stop=threading.Event(), deadline=deadline):
        if not pods:
            return _delete_all(core, "event", name)
    raise LabError(f"{', '.join(sorted(pods))} of an earlier run are still in {name}. Next: run `kubelab doctor`.")


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


def _delete_all(owner: client.CoreV1Api | client.AppsV1Api, kind: str, namespace: str) -> None:
    for item in getattr(owner, f"list_namespaced_{kind}")(namespace).items:
        _delete(getattr(owner, f"delete_namespaced_{kind}"), item.metadata.name, namespace)


def _delete(delete: Callable[..., Any], name: str, namespace: str) -> None:
    try:
        delete(name, namespace, propagation_policy="Background")
    except ApiException as error:
        if error.status != 404:  # its owner's deletion was faster
            raise
