"""What is there from the start: the system's namespaces, roles, priority classes; services `kubernetes`, `kube-dns`.

Upstream: pkg/controlplane/controller/{systemnamespaces,kubernetesservice}; kubeadm's CoreDNS add-on
(cmd/kubeadm/app/phases/addons/dns/manifests.go).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kubelab.cluster.apiserver.authorization import reconcile
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.kinds import priorityclass
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import ENDPOINTS, ENDPOINTSLICES, NAMESPACES, SERVICES, Resource

NAMES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE, DNS_SERVICE = "kubernetes", "kube-dns"
log = logging.getLogger(__name__)


def create(registry: Registry, address: str, port: int, done: Callable[[str], None] = lambda hook: None) -> None:
    """Make what is not there yet, and let the `kubernetes` service lead to `address:port`. `done` hears of
    each hook.
    """
    for name, hook in HOOKS.items():
        hook(registry, address, port)
        done(name)


def _create_namespaces(registry: Registry) -> None:
    for name in NAMES:
        _ensure(registry, NAMESPACES, {"metadata": {"name": name}}, "")


def _create_services(registry: Registry, address: str, port: int) -> None:
    labels = {"component": "apiserver", "provider": SERVICE}
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]
    spec = {"type": "ClusterIP", "clusterIP": registry.addresses.first, "ports": ports, "sessionAffinity": "None"}
    _ensure(registry, SERVICES, {"metadata": {"name": SERVICE, "labels": labels}, "spec": spec}, "default")
    mirrored = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    subsets = [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}]
    endpoints = {"metadata": {"name": SERVICE, "labels": mirrored}, "subsets": subsets}
    _ensure(registry, ENDPOINTS, endpoints, "default", update=True)
    endpoint_slice = {
        "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }
    _ensure(registry, ENDPOINTSLICES, endpoint_slice, "default", update=True)
    _create_dns_service(registry)


def _create_dns_service(registry: Registry) -> None:
    """The address at which each node's own name server answers. So it needs neither selector nor endpoints."""
    labels = {"k8s-app": DNS_SERVICE, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "KubeDNS"}
    ports = [
        {"name": name, "port": 53, "protocol": protocol, "targetPort": 53}
        for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP"))
    ]
    address = str(registry.addresses.network[10])
    spec = {"type": "ClusterIP", "clusterIP": address, "ports": ports, "sessionAffinity": "None"}
    try:
        _ensure(registry, SERVICES, {"metadata": {"name": DNS_SERVICE, "labels": labels}, "spec": spec}, "kube-system")
    except StatusError as error:  # a service of the student's has the address: it goes on
        log.warning("service %s not made: %s", DNS_SERVICE, error)


def _ensure(
    registry: Registry, resource: Resource, obj: dict[str, Any], namespace: str, *, update: bool = False
) -> None:
    typed = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    name = obj["metadata"]["name"]
    if registry.store.get(registry.key(resource, namespace, name)) is None:
        registry.create(resource, typed, namespace)
    elif update:
        registry.update(resource, name, typed, namespace)


# What is done once after the server has begun to listen, in this order, by the names of kube-apiserver's own hooks.
HOOKS: dict[str, Callable[[Registry, str, int], None]] = {
    "start-system-namespaces-controller": lambda registry, address, port: _create_namespaces(registry),
    "rbac/bootstrap-roles": lambda registry, address, port: reconcile.run(registry),
    "scheduling/bootstrap-system-priority-classes": lambda registry, address, port: priorityclass.bootstrap(registry),
    "bootstrap-controller": _create_services,
}
