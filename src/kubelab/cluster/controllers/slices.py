"""Bring an owner's EndpointSlices to what is wanted: change those of the same ports, create, delete the rest.

Upstream: staging/src/k8s.io/endpointslice/reconciler.go. Here endpoints are laid out afresh, rather than left where
they were: with a few slices that costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kubelab.cluster.client import APIClient, NotFound
from kubelab.cluster.controllers.hashing import content_hash
from kubelab.cluster.controllers.ownership import controller_reference
from kubelab.cluster.controllers.triggertimes import annotated
from kubelab.cluster.resources import ENDPOINTSLICES

Object = dict[str, Any]

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"

Signature = tuple[str, tuple[tuple[tuple[str, str], ...], ...]]


@dataclass(frozen=True)
class Wanted:
    """The slices of one `owner`: each of `slices` has addressType, endpoints and ports. `changed` is when, or ""."""

    owner: Object
    labels: dict[str, str]
    slices: list[Object]
    annotations: dict[str, str] = field(default_factory=dict)
    changed: str = ""


class SliceWriter:
    def __init__(self, client: APIClient) -> None:
        self._client = client

    async def reconcile(self, wanted: Wanted, existing: list[Object]) -> None:
        by_ports: dict[Signature, list[Object]] = {}
        for found in sorted(existing, key=lambda s: s["metadata"]["name"]):
            by_ports.setdefault(signature(found), []).append(found)
        names = {found["metadata"]["name"] for found in existing}
        for slice in wanted.slices:
            same = by_ports.get(signature(slice))
            if same:
                await self._update(wanted, slice, same.pop(0))
            else:
                await self._create(wanted, slice, names)
        for leftover in (found for rest in by_ports.values() for found in rest):
            await self.delete(leftover)

    async def _create(self, wanted: Wanted, slice: Object, taken: set[str]) -> None:
        """The name follows from the contents, so that a cache that is behind cannot make a second slice of it."""
        name = next(n for n in _names(wanted.owner, slice) if n not in taken)
        taken.add(name)
        metadata = {
            "name": name,
            "namespace": wanted.owner["metadata"]["namespace"],
            "generateName": wanted.owner["metadata"]["name"] + "-",
            "labels": wanted.labels,
            "annotations": annotated(wanted.annotations, wanted.changed),
            "ownerReferences": [controller_reference(wanted.owner)],
        }
        head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        await self._client.create(ENDPOINTSLICES, {**head, **slice})

    async def _update(self, wanted: Wanted, slice: Object, existing: Object) -> None:
        metadata = existing["metadata"]
        same_labels = (metadata.get("labels") or {}) == wanted.labels
        same_notes = annotated(metadata.get("annotations"), "") == wanted.annotations
        if same_labels and same_notes and (existing.get("endpoints") or []) == slice["endpoints"]:
            return
        new = {
            **metadata,
            "labels": wanted.labels,
            "annotations": annotated(wanted.annotations, wanted.changed),
            "ownerReferences": [controller_reference(wanted.owner)],
        }
        await self._client.update(ENDPOINTSLICES, {**existing, "metadata": new, **slice})

    async def delete(self, slice: Object) -> None:
        metadata = slice["metadata"]
        try:
            await self._client.delete(ENDPOINTSLICES, metadata["name"], metadata["namespace"])
        except NotFound:
            return


def _names(owner: Object, slice: Object) -> Iterator[str]:
    for number in count():
        suffix = content_hash([owner["metadata"]["uid"], slice["addressType"], slice["ports"], number])[:5]
        yield f"{owner['metadata']['name']}-{suffix}"


def signature(slice: Object) -> Signature:
    """What two slices have in common that may be made one out of the other."""
    ports = slice.get("ports") or ()
    return slice["addressType"], tuple(sorted(tuple(sorted((k, str(v)) for k, v in port.items())) for port in ports))


def service_of(slice: Object, manager: str) -> list[str]:
    """`namespace/name` of the service, for slices that `manager` writes."""
    labels = slice["metadata"].get("labels") or {}
    if labels.get(MANAGED_BY) != manager or SERVICE_NAME not in labels:
        return []
    return [f"{slice['metadata']['namespace']}/{labels[SERVICE_NAME]}"]
