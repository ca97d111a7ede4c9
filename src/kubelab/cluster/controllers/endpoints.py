"""Endpoints: the addresses of the pods behind a service, ready ones and others, in one object of the service's name.

Upstream: pkg/controller/endpoint/endpoints_controller.go.
"""

from __future__ import annotations

from kubelab.cluster.client import AlreadyExists, NotFound
from kubelab.cluster.controllers import endpointscapacity as capacity
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.serviceselection import (
    ServiceController,
    endpoint_ports,
    hostname_in,
    service_labels,
    target_reference,
)
from kubelab.cluster.controllers.triggertimes import TriggerTimes, annotated
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_ready
from kubelab.cluster.resources import ENDPOINTS

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


class EndpointsController(ServiceController):
    name = "endpoint-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.endpoints = context.informers.of(ENDPOINTS)
        self.endpoints.add_handler(on_delete=self.enqueue)
        self.trigger_times = TriggerTimes()

    async def sync(self, key: Key) -> None:
        service, existing = self.services.get(*key), self.endpoints.get(*key)
        if service is None:
            self.trigger_times.forget(key)
            if existing is not None:
                await self._delete(key)
            return
        if not service["spec"].get("selector"):
            return  # someone else writes them
        pods = self.selected_pods(service, include_terminating=_publishes_all(service))
        labels = {**service_labels(service), **MANAGED_BY}
        desired, before = subsets(service, pods), (existing or {}).get("metadata", {})
        notes = annotated(before.get("annotations"), self.trigger_times.newest_change(service, pods))
        notes.pop(capacity.ANNOTATION, None)
        fewer = capacity.truncated(desired)
        if fewer is not None:
            desired, notes = fewer, {**notes, capacity.ANNOTATION: "truncated"}
        if existing is None:
            await self._create(key, {"labels": labels, "annotations": notes}, desired)
        elif existing.get("subsets", []) != desired or (before.get("labels") or {}) != labels:
            metadata = {**before, "labels": labels, "annotations": notes}
            await self.client.update(ENDPOINTS, {**existing, "metadata": metadata, "subsets": desired})

    async def _create(self, key: Key, metadata: Object, desired: list[Object]) -> None:
        metadata = {"namespace": key[0], "name": key[1], **metadata}
        endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": desired}
        try:
            await self.client.create(ENDPOINTS, endpoints)
        except AlreadyExists:
            self.queue.add_rate_limited(key)  # the cache is behind: compare with what is there

    async def _delete(self, key: Key) -> None:
        try:
            await self.client.delete(ENDPOINTS, key[1], key[0])
        except NotFound:
            return


def subsets(service: Object, pods: list[Object]) -> list[Object]:
    """Addresses grouped by the ports that they serve; ready ones apart from those that are not."""
    groups: dict[tuple[tuple[str, ...], ...], Object] = {}
    for pod in pods:
        ports = sorted(endpoint_ports(service, pod), key=lambda port: (port["name"], port["port"]))
        if not ports and service["spec"].get("ports"):
            continue  # none of the target ports exists in this pod
        signature = tuple(tuple(f"{k}={v}" for k, v in sorted(port.items())) for port in ports)
        group = groups.setdefault(signature, {"ports": [_unnamed(port) for port in ports]})
        ready = is_ready(pod) or _publishes_all(service)
        group.setdefault("addresses" if ready else "notReadyAddresses", []).append(_address(service, pod))
    return [_sorted(groups[signature]) for signature in sorted(groups)]


def _publishes_all(service: Object) -> bool:
    return bool(service["spec"].get("publishNotReadyAddresses"))


def _unnamed(port: Object) -> Object:
    """The empty name of a single port is left out, as the API's JSON does."""
    return {key: value for key, value in port.items() if value}


def _address(service: Object, pod: Object) -> Object:
    address = {
        "ip": pod["status"]["podIP"],
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": target_reference(pod),
    }
    hostname = hostname_in(service, pod)
    if hostname:
        address["hostname"] = hostname
    return address


def _sorted(subset: Object) -> Object:
    ordered = {}
    for part in ("addresses", "notReadyAddresses"):
        if part in subset:
            ordered[part] = sorted(subset[part], key=lambda address: address["ip"])
    if subset["ports"]:
        ordered["ports"] = subset["ports"]
    return ordered
