"""EndpointSlices: the endpoints behind a service with their conditions, at most a hundred in one object.

Upstream: pkg/controller/endpointslice, staging/src/k8s.io/endpointslice (reconciler.go, utils.go). What is written
when is `slices.py`.
"""

from __future__ import annotations

from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.serviceselection import (
    ServiceController,
    endpoint_ports,
    hostname_in,
    service_labels,
    target_reference,
)
from kubelab.cluster.controllers.slices import MANAGED_BY, SERVICE_NAME, SliceWriter, Wanted, service_of, signature
from kubelab.cluster.controllers.triggertimes import TriggerTimes
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_ready, is_terminating, node_name
from kubelab.cluster.resources import ENDPOINTSLICES, NODES

MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
MAX_ENDPOINTS = 100  # in one slice


class EndpointSliceController(ServiceController):
    name = "endpointslice-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.slices, self.nodes = context.informers.of(ENDPOINTSLICES), context.informers.of(NODES)
        self.writer, self.trigger_times = SliceWriter(context.client), TriggerTimes()
        self.slices.add_index("service", lambda found: service_of(found, MANAGER))
        self.slices.add_handler(None, lambda old, new: self._slice_changed(new), self._slice_changed)

    def _slice_changed(self, found: Object) -> None:
        for service in service_of(found, MANAGER):
            namespace, _, name = service.partition("/")
            self.queue.add((namespace, name))

    async def sync(self, key: Key) -> None:
        service = self.services.get(*key)
        if service is None or not service["spec"].get("selector") or service["spec"].get("type") == "ExternalName":
            self.trigger_times.forget(key)
            return  # its owner reference lets the garbage collector clear up
        labels = {**service_labels(service), SERVICE_NAME: key[1], MANAGED_BY: MANAGER}
        pods = self.selected_pods(service, include_terminating=True)
        zones = {node_name(pod): self._zone(node_name(pod)) for pod in pods}
        changed = self.trigger_times.newest_change(service, pods)
        wanted = Wanted(service, labels, slices(service, pods, zones), changed=changed)
        await self.writer.reconcile(wanted, self.slices.by_index("service", "/".join(key)))

    def _zone(self, node: str) -> str:
        found = self.nodes.get(None, node)
        return ((found or {}).get("metadata", {}).get("labels") or {}).get(ZONE, "")


def slices(service: Object, pods: list[Object], zones: dict[str, str] | None = None) -> list[Object]:
    """`endpoints` and `ports` of every slice: pods that serve the same ports together, in chunks of a hundred.

    A service without pods has one empty slice, so that clients see that somebody looked. `zones` are by node.
    """
    groups: dict[object, tuple[list[Object], list[Object]]] = {}
    for pod in pods:
        ports = endpoint_ports(service, pod)
        group = groups.setdefault(signature({"addressType": "IPv4", "ports": ports}), (ports, []))
        group[1].append(endpoint(service, pod, (zones or {}).get(node_name(pod), "")))
    made = [
        {"addressType": "IPv4", "endpoints": endpoints[start : start + MAX_ENDPOINTS], "ports": ports}
        for _, (ports, endpoints) in sorted(groups.items())
        for start in range(0, len(endpoints), MAX_ENDPOINTS)
    ]
    return made or [{"addressType": "IPv4", "endpoints": [], "ports": []}]


def endpoint(service: Object, pod: Object, zone: str = "") -> Object:
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
    if zone:
        made["zone"] = zone
    hostname = hostname_in(service, pod)
    return {**made, "hostname": hostname} if hostname else made
