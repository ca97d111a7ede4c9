"""EndpointSlices: the endpoints behind a service with their conditions, at most a hundred in one object.

Upstream: staging/src/k8s.io/endpointslice (reconciler.go, utils.go). Here endpoints are laid out afresh in the order
of their pods' names, rather than left where they were: with a few slices that costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.hashing import content_hash
from kubelab.cluster.controllers.ownership import controller_reference
from kubelab.cluster.controllers.serviceselection import (
    ServiceController,
    endpoint_ports,
    hostname_in,
    service_labels,
    target_reference,
)
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_ready, is_terminating
from kubelab.cluster.resources import ENDPOINTSLICES

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
MAX_ENDPOINTS = 100  # in one slice

Signature = tuple[tuple[tuple[str, str], ...], ...]


class EndpointSliceController(ServiceController):
    name = "endpointslice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.slices = context.informers.of(ENDPOINTSLICES)
        self.slices.add_index("service", _service_of)
        self.slices.add_handler(None, lambda old, new: self._slice_changed(new), self._slice_changed)

    def _slice_changed(self, found: Object) -> None:
        for service in _service_of(found):
            namespace, _, name = service.partition("/")
            self.queue.add((namespace, name))

    async def sync(self, key: Key) -> None:
        service = self.services.get(*key)
        if service is None or not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            return  # its owner reference lets the garbage collector clear up
        existing = self.slices.by_index("service", "/".join(key))
        labels = {**service_labels(service), SERVICE_NAME: key[1], MANAGED_BY: MANAGER}
        desired = slices(service, self.selected_pods(service, include_terminating=True))
        by_ports: dict[Signature, list[Object]] = {}
        for found in sorted(existing, key=lambda s: s["metadata"]["name"]):
            by_ports.setdefault(_signature(found.get("ports") or []), []).append(found)
        names = {found["metadata"]["name"] for found in existing}
        for wanted in desired:
            same = by_ports.get(_signature(wanted["ports"]))
            if same:
                await self._update(service, labels, wanted, same.pop(0))
            else:
                await self._create(service, labels, wanted, names)
        for leftover in (found for rest in by_ports.values() for found in rest):
            await self._delete(leftover)

    async def _create(self, service: Object, labels: dict[str, str], wanted: Object, taken: set[str]) -> None:
        """The name follows from the contents, so that a cache that is behind cannot make a second slice of it."""
        name = next(n for n in _names(service, wanted["ports"]) if n not in taken)
        taken.add(name)
        metadata = {
            "name": name,
            "namespace": service["metadata"]["namespace"],
            "generateName": service["metadata"]["name"] + "-",
            "labels": labels,
            "ownerReferences": [controller_reference(service)],
        }
        head = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata}
        await self.client.create(ENDPOINTSLICES, {**head, "addressType": "IPv4", **wanted})

    async def _update(self, service: Object, labels: dict[str, str], wanted: Object, existing: Object) -> None:
        same_labels = (existing["metadata"].get("labels") or {}) == labels
        if same_labels and (existing.get("endpoints") or []) == wanted["endpoints"]:
            return
        metadata = {**existing["metadata"], "labels": labels, "ownerReferences": [controller_reference(service)]}
        await self.client.update(ENDPOINTSLICES, {**existing, "metadata": metadata, **wanted})

    async def _delete(self, leftover: Object) -> None:
        metadata = leftover["metadata"]
        try:
            await self.client.delete(ENDPOINTSLICES, metadata["name"], metadata["namespace"])
        except NotFound:
            return


def slices(service: Object, pods: list[Object]) -> list[Object]:
    """`endpoints` and `ports` of every slice: pods that serve the same ports together, in chunks of a hundred.

    A service without pods has one empty slice, so that clients see that somebody looked.
    """
    groups: dict[Signature, tuple[list[Object], list[Object]]] = {}
    for pod in pods:
        ports = endpoint_ports(service, pod)
        groups.setdefault(_signature(ports), (ports, []))[1].append(endpoint(service, pod))
    made = [
        {"endpoints": endpoints[start : start + MAX_ENDPOINTS], "ports": ports}
        for _, (ports, endpoints) in sorted(groups.items())
        for start in range(0, len(endpoints), MAX_ENDPOINTS)
    ]
    return made or [{"endpoints": [], "ports": []}]


def endpoint(service: Object, pod: Object) -> Object:
    """One pod's address and conditions: a terminating pod may still serve, but it is not ready."""
    serving, terminating = is_ready(pod), is_terminating(pod)
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    made = {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": publish or (serving and not terminating),
            "serving": serving,
            "terminating": terminating,
        },
        "targetRef": target_reference(pod),
    }
    if pod["spec"].get("nodeName"):
        made["nodeName"] = pod["spec"]["nodeName"]
    hostname = hostname_in(service, pod)
    return {**made, "hostname": hostname} if hostname else made


def _names(service: Object, ports: list[Object]) -> Iterator[str]:
    for number in count():
        suffix = content_hash([service["metadata"]["uid"], ports, number])[:5]
        yield f"{service['metadata']['name']}-{suffix}"


def _signature(ports: list[Object]) -> Signature:
    return tuple(sorted(tuple(sorted((key, str(value)) for key, value in port.items())) for port in ports))


def _service_of(found: Object) -> list[str]:
    """`namespace/name` of the service, for slices that this controller writes."""
    labels = found["metadata"].get("labels") or {}
    if labels.get(MANAGED_BY) != MANAGER or SERVICE_NAME not in labels:
        return []
    return [f"{found['metadata']['namespace']}/{labels[SERVICE_NAME]}"]
