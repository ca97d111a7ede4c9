"""Objects from manifests: read YAML, create what is not there, patch what is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, utils
from kubernetes.client.rest import ApiException

from . import waiting
from .errors import LabError

PART_OF = {"app.kubernetes.io/part-of": "kubelab"}
MARGIN = 20  # seconds beyond its grace period in which an object should be gone


def read(source: str | Path | dict[str, Any] | list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The objects of a manifest: a file (in `folder` unless its path is absolute), YAML text, or dicts."""
    if isinstance(source, dict):
        return [source]
    if isinstance(source, list):
        return source
    if isinstance(source, str) and "\n" in source:
        text = source
    else:
        path = folder / source
        if not path.is_file():
            there = ", ".join(sorted(found.name for found in folder.glob("*.yaml"))) or "none"
            raise LabError(f"there is no manifest {path.name!r} in {folder.name}/; it has: {there}.")
        text = path.read_text()
    return [document for document in yaml.safe_load_all(text) if document]


def apply(api: client.ApiClient, namespace: str, document: dict[str, Any]) -> str:
    """Create the object, or patch the one that is there. Says what was done as kubectl does: "pod/web created".

    One that is being deleted is waited for: kubectl would patch it, and it would be gone a moment later. LabError: it
    was refused. NotInTime: the old one stays, for longer than its grace period allows.
    """
    metadata = document["metadata"]
    metadata["labels"] = {**PART_OF, **(metadata.get("labels") or {})}
    label = f"{resource_name(document)}/{metadata['name']}"
    try:
        if _create(api, namespace, document) or (
            _leaves(api, namespace, document) and _create(api, namespace, document)
        ):
            return f"{label} created"
        changed = _call(api, "patch", document, name=metadata["name"], namespace=namespace, body=document)
    except ApiException as error:
        raise LabError(f"{label} was refused: {message(error)}") from error
    return f"{label} configured" if changed is not None else label


def _create(api: client.ApiClient, namespace: str, document: dict[str, Any]) -> bool:
    """False where there is one of the name."""
    try:
        utils.create_from_dict(api, document, namespace=namespace)
    except utils.FailToCreateError as failure:
        error = failure.api_exceptions[0]
        if error.status != 409:
            raise error from failure
        return False
    return True


def _leaves(api: client.ApiClient, namespace: str, document: dict[str, Any]) -> bool:
    """Whether the one of the same name was on its way out, and now has gone."""
    name = document["metadata"]["name"]
    try:
        there = _call(api, "read", document, name=name, namespace=namespace).metadata
    except ApiException as error:
        if error.status == 404:
            return True  # it went meanwhile
        raise
    if there.deletion_timestamp is None:
        return False
    waiting.until(
        _method(api, "list", document),
        namespace,
        condition=lambda found: all(each["metadata"]["uid"] != there.uid for each in found),
        what=f"{resource_name(document)}/{name}, which is being deleted, to be gone",
        timeout=(there.deletion_grace_period_seconds or 0) + MARGIN,
        field_selector=f"metadata.name={name}",
    )
    return True


def resource_name(document: dict[str, Any]) -> str:
    """ "deployment.apps": the kind as kubectl prints it."""
    group = document["apiVersion"].rpartition("/")[0]
    return document["kind"].lower() + (f".{group}" if group else "")


def message(error: ApiException) -> str:
    """The API server's own words."""
    try:
        return yaml.safe_load(error.body)["message"]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return f"{error.status} {error.reason}"


def _call(api: client.ApiClient, verb: str, document: dict[str, Any], **arguments: Any) -> Any:
    return _method(api, verb, document)(**arguments)


def _method(api: client.ApiClient, verb: str, document: dict[str, Any]) -> Callable[..., Any]:
    """The client's method for a verb and a kind: `AppsV1Api(api).patch_namespaced_replica_set`."""
    group, _, version = document["apiVersion"].rpartition("/")
    name = "".join(word.capitalize() for word in group.removesuffix(".k8s.io").split(".")) or "Core"
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", document["kind"]).lower()
    return getattr(getattr(client, f"{name}{version.capitalize()}Api")(api), f"{verb}_namespaced_{kind}")
