"""Create a pod from a template and delete one, telling of it through Events of the owner.

Upstream: RealPodControl in pkg/controller/controller_utils.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.client import APIClient, APIError, NotFound
from kubelab.cluster.controllers.ownership import controller_reference
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.resources import PODS

Object = dict[str, Any]


def pod_from_template(template: Object, owner: Object, generate_name: str = "") -> Object:
    """The pod that `owner` asks for; its name is the owner's and a dash (or `generate_name`), and what the API server
    adds.
    """
    metadata = template.get("metadata") or {}
    kept = {key: metadata[key] for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "generateName": generate_name or owner["metadata"]["name"] + "-",
            "namespace": owner["metadata"]["namespace"],
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }


class PodControl:
    def __init__(self, client: APIClient, recorder: EventRecorder) -> None:
        self._client, self._recorder = client, recorder

    async def create(self, owner: Object, template: Object, generate_name: str = "") -> Object:
        """Raises what the API server answers, after an Event of it (a terminating namespace is worth none)."""
        try:
            pod = await self._client.create(PODS, pod_from_template(template, owner, generate_name))
        except APIError as error:
            if not error.has_cause("NamespaceTerminating"):
                self._recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        return pod

    async def delete(self, owner: Object, pod: Object) -> None:
        """Raises NotFound where it is gone already; other errors after an Event."""
        name = pod["metadata"]["name"]
        try:
            await self._client.delete(PODS, name, pod["metadata"]["namespace"], uid=pod["metadata"]["uid"])
        except NotFound:
            raise
        except APIError as error:
            self._recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        self._recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {name}")
