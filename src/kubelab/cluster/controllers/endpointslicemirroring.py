"""EndpointSlices for Endpoints that somebody writes by hand, for a service without a selector.

Upstream: pkg/controller/endpointslicemirroring (endpointslicemirroring_controller.go, utils.go). Whoever follows
slices, as the service proxy does, then sees those addresses too.
"""

from __future__ import annotations

import ipaddress

from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.slices import MANAGED_BY, SERVICE_NAME, SliceWriter, Wanted, service_of
from kubelab.cluster.controllers.triggertimes import ANNOTATION as TRIGGER_TIME
from kubelab.cluster.informer import Key
from kubelab.cluster.resources import ENDPOINTS, ENDPOINTSLICES, SERVICES

MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_PER_SUBSET = 1000


class EndpointSliceMirroringController(Controller):
    """Keys are Endpoints, which have their service's name."""

    name = "endpointslice-mirroring-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        of = context.informers.of
        self.endpoints, self.services, self.slices = of(ENDPOINTS), of(SERVICES), of(ENDPOINTSLICES)
        self.writer = SliceWriter(context.client)
        self.endpoints.add_handler(self.enqueue, lambda old, new: self.enqueue(new), self.enqueue)
        self.services.add_handler(self._service_changed, self._service_updated, self._service_changed)
        self.slices.add_index("mirror", lambda found: service_of(found, MANAGER))
        self.slices.add_handler(None, lambda old, new: self._slice_changed(new), self._slice_changed)

    def _service_changed(self, service: Object) -> None:
        if not service["spec"].get("selector"):
            self.enqueue(service)

    def _service_updated(self, old: Object, new: Object) -> None:
        if bool(old["spec"].get("selector")) != bool(new["spec"].get("selector")):
            self.enqueue(new)

    def _slice_changed(self, found: Object) -> None:
        for name in service_of(found, MANAGER):
            self.queue.add(tuple(name.split("/", 1)))

    async def sync(self, key: Key) -> None:
        endpoints, service = self.endpoints.get(*key), self.services.get(*key)
        existing = self.slices.by_index("mirror", "/".join(key))
        if endpoints is None or service is None or service["spec"].get("selector") or not is_mirrored(endpoints):
            for found in existing:
                await self.writer.delete(found)
            return
        metadata = endpoints["metadata"]
        labels = {**(metadata.get("labels") or {}), SERVICE_NAME: key[1], MANAGED_BY: MANAGER}
        left_out = (TRIGGER_TIME, LAST_APPLIED)
        notes = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in left_out}
        changed = (metadata.get("annotations") or {}).get(TRIGGER_TIME, "")
        await self.writer.reconcile(Wanted(endpoints, labels, mirrored(endpoints), notes, changed), existing)


def is_mirrored(endpoints: Object) -> bool:
    """Not where it says so itself, or where it is no more than the note of an elected leader."""
    metadata = endpoints["metadata"]
    skip = (metadata.get("labels") or {}).get(SKIP) == "true"
    return not skip and LEADER not in (metadata.get("annotations") or {})


def mirrored(endpoints: Object) -> list[Object]:
    """A slice for each subset and family of addresses."""
    made = []
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        families: dict[str, list[Object]] = {}
        ready = [(address, True) for address in subset.get("addresses") or ()]
        waiting = [(address, False) for address in subset.get("notReadyAddresses") or ()]
        for address, is_ready in (ready + waiting)[:MAX_PER_SUBSET]:
            version = ipaddress.ip_address(address["ip"]).version
            families.setdefault(f"IPv{version}", []).append(_endpoint(address, is_ready))
        made += [{"addressType": family, "endpoints": found, "ports": ports} for family, found in families.items()]
    return made


def _port(port: Object) -> Object:
    found = {"name": port.get("name") or "", "port": port["port"], "protocol": port.get("protocol") or "TCP"}
    return {**found, **({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {})}


def _endpoint(address: Object, ready: bool) -> Object:
    kept = {field: address[field] for field in ("targetRef", "nodeName", "hostname") if address.get(field)}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}, **kept}
