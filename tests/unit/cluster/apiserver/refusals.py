"""Objects that are valid, and what the registry says of them with one field changed."""

from __future__ import annotations

import copy

import pytest

from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import Resource

CONTAINER = {"name": "c", "image": "i"}
POD = {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER]}}
LABELS = {"app": "web"}
TEMPLATE = {"metadata": {"labels": LABELS}, "spec": {"containers": [CONTAINER]}}
REPLICASET = {"metadata": {"name": "r"}, "spec": {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}}
SERVICE = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}


def changed(obj: dict, path: str, value: object) -> dict:
    """A copy with one field set: `spec.containers.0.image`; None removes it."""
    result = copy.deepcopy(obj)
    *parents, last = path.split(".")
    node = result
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    if value is None:
        node.pop(last, None)
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return result


def refusal(registry: Registry, resource: Resource, obj: dict) -> list[str]:
    """What the 422 says about the fields: `field: message` of each cause."""
    with pytest.raises(StatusError) as error:
        registry.create(resource, copy.deepcopy(obj), "" if not resource.namespaced else "default")
    assert error.value.code == 422
    causes = error.value.body["details"]["causes"]
    assert all(cause["message"] in error.value.body["message"] for cause in causes)
    return [f"{cause['field']}: {cause['message']}" for cause in causes]


def update_refusal(registry: Registry, resource: Resource, made: dict, path: str, value: object) -> list[str]:
    """The same for a change of an object that is there."""
    with pytest.raises(StatusError) as error:
        registry.update(
            resource, made["metadata"]["name"], changed(made, path, value), made["metadata"].get("namespace", "")
        )
    assert error.value.code == 422, error.value
    return [f"{cause['field']}: {cause['message']}" for cause in error.value.body["details"]["causes"]]
