"""Which address leads to which endpoints: the proxy's table, from Services and EndpointSlices.

Upstream: pkg/proxy/servicechangetracker.go, endpointslicecache.go and topology.go (CategorizeEndpoints).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

Service = dict[str, Any]
Slice = dict[str, Any]
Address = tuple[str, int]
PortKey = tuple[str, str]
PROTOCOLS = ("TCP", "UDP")

SERVICE_NAME = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True)
class Frontend:
    """Where connections are taken: `where` is "node" (inside the machine) or "host" (the host's loopback)."""

    where: str
    ip: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class Backend:
    """Where they go. `affinity` is how many seconds a client stays with its endpoint, 0 for not at all; `drop`: there
    are endpoints, but none to which the traffic may go, so that it gets no answer."""

    owner: tuple[str, str]  # namespace and name
    endpoints: tuple[Address, ...]
    affinity: int = 0
    drop: bool = False
    kind: str = "Service"  # the owner's: "Service" | "Pod"


@dataclass(frozen=True)
class Endpoint:
    address: Address
    ready: bool
    serving: bool
    terminating: bool
    node: str


def make_rules(
    services: Iterable[Service], slices: Iterable[Slice], node: str, node_ip: str, host_ip: str
) -> dict[Frontend, Backend]:
    """The whole table for one node. A frontend without endpoints is in it too: connections to it are refused.

    Nodes that have their address on the host's loopback (level process) share all other addresses, so that a node that
    dropped what comes there would drop what is for others.
    """
    shared = node_ip == host_ip
    by_service = _endpoints_by_service(slices)
    rules: dict[Frontend, Backend] = {}
    for service in services:
        spec, key = service["spec"], (service["metadata"]["namespace"], service["metadata"]["name"])
        if not has_cluster_ip(service):
            continue
        for port in spec.get("ports") or []:
            protocol = port.get("protocol", "TCP")
            if protocol not in PROTOCOLS:
                continue
            endpoints = by_service.get(key, {}).get((port.get("name", ""), protocol), [])
            inside = _backend(service, endpoints, spec.get("internalTrafficPolicy"), node)
            outside = _backend(service, endpoints, spec.get("externalTrafficPolicy"), node)
            rules[Frontend("node", spec["clusterIP"], port["port"], protocol)] = _never_drop(inside, shared)
            for ip in spec.get("externalIPs") or []:
                rules[Frontend("node", ip, port["port"], protocol)] = _never_drop(outside, shared)
            if node_port := port.get("nodePort"):
                for where, ip in {ip: (where, ip) for where, ip in (("node", node_ip), ("host", host_ip))}.values():
                    rules[Frontend(where, ip, node_port, protocol)] = outside
    return rules


def has_cluster_ip(service: Service) -> bool:
    spec = service["spec"]
    return spec.get("type", "ClusterIP") != "ExternalName" and spec.get("clusterIP", "") not in ("", "None")


def unsupported_ports(service: Service) -> list[dict[str, Any]]:
    """Ports that this proxy does not serve."""
    return [p for p in service["spec"].get("ports") or [] if p.get("protocol", "TCP") not in PROTOCOLS]


def _endpoints_by_service(slices: Iterable[Slice]) -> dict[tuple[str, str], dict[PortKey, list[Endpoint]]]:
    """(namespace, service) -> name and protocol of the port -> endpoints."""
    found: dict[tuple[str, str], dict[PortKey, list[Endpoint]]] = defaultdict(lambda: defaultdict(list))
    for each in slices:
        metadata = each["metadata"]
        name = (metadata.get("labels") or {}).get(SERVICE_NAME)
        if not name or each.get("addressType", "IPv4") != "IPv4":
            continue
        for port in each.get("ports") or []:
            if port.get("port"):
                named = found[metadata["namespace"], name][port.get("name") or "", port.get("protocol", "TCP")]
                named += [_endpoint(e, port["port"]) for e in each.get("endpoints") or [] if e.get("addresses")]
    return found


def _endpoint(endpoint: dict[str, Any], port: int) -> Endpoint:
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions["serving"] if conditions.get("serving") is not None else ready
    terminating = bool(conditions.get("terminating"))
    return Endpoint((endpoint["addresses"][0], port), ready, serving, terminating, endpoint.get("nodeName") or "")


def _backend(service: Service, endpoints: list[Endpoint], policy: str | None, node: str) -> Backend:
    """Upstream tells "has no local endpoints" (DROP) from "has no endpoints" (REJECT)."""
    chosen, metadata = _usable(endpoints, policy, node), service["metadata"]
    drop = not chosen and bool(_usable(endpoints, None, node))
    return Backend((metadata["namespace"], metadata["name"]), chosen, _affinity(service["spec"]), drop)


def _never_drop(backend: Backend, never: bool) -> Backend:
    return replace(backend, drop=False) if never else backend


def _usable(endpoints: list[Endpoint], policy: str | None, node: str) -> tuple[Address, ...]:
    """The ready ones; where there is none, those that still serve while they terminate. Policy Local: this node's."""
    if policy == "Local":
        endpoints = [e for e in endpoints if e.node == node]
    chosen = [e for e in endpoints if e.ready] or [e for e in endpoints if e.serving and e.terminating]
    return tuple(sorted({e.address for e in chosen}))


def _affinity(spec: dict[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return config.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS
