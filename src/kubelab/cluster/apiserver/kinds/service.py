"""Services: defaults, and the cluster IP and node ports that they are given.

Upstream: pkg/apis/core/v1/defaults.go (SetDefaults_Service), pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

import contextlib
from typing import Any

from kubelab.cluster.apiserver import coverage, errors, names, podwarnings
from kubelab.cluster.apiserver.allocators import PoolError
from kubelab.cluster.apiserver.fielderrors import FieldError, invalid
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.strategy import Strategy
from kubelab.cluster.apiserver.validation import service as validation

Object = dict[str, Any]
HEADLESS = "None"
WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


class ServiceStrategy(Strategy):
    returns_deleted_object = True
    has_status = True
    validate_name = staticmethod(names.dns1035_label)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        if spec["sessionAffinity"] == "ClientIP":
            affinity = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
            affinity.setdefault("timeoutSeconds", 10800)
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
            if not port.get("targetPort") and "port" in port:
                port["targetPort"] = port["port"]
        if spec["type"] != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] in WITH_NODE_PORTS or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if spec["type"] == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}
        _families(obj["spec"])

    def prepare_update(self, obj: Object, old: Object, subresource: str) -> None:
        super().prepare_update(obj, old, subresource)
        if not subresource:
            _keep_allocated(obj["spec"], old["spec"])
            _families(obj["spec"])

    def validate(self, obj: Object) -> list[FieldError]:
        return validation.service(obj["spec"])

    def validate_update(self, obj: Object, old: Object, subresource: str) -> list[FieldError]:
        return self.validate(obj) + validation.service_update(obj["spec"], old["spec"])

    def warnings(self, obj: Object) -> list[str]:
        return podwarnings.of_service(obj["spec"]) + coverage.warnings("service", obj["spec"], "spec")

    # -- what comes from the pools

    def allocate(self, registry: Registry, obj: Object, old: Object | None) -> None:
        """Give out what the new state asks for and did not have, then take back what it no longer has."""
        before = _held(old) if old else (set(), set())
        spec = obj["spec"]
        problems = _wishes(registry, spec, before)
        if problems:
            raise errors.invalid("Service", "", obj["metadata"]["name"], problems)
        try:
            _fill(registry, spec)
        except PoolError as error:
            raise errors.internal(str(error)) from None
        self.restore(registry, obj)
        after = _held(obj)
        _give_back(registry, before[0] - after[0], before[1] - after[1])

    def restore(self, registry: Registry, obj: Object) -> None:
        addresses, ports = _held(obj)
        for address in addresses:
            registry.addresses.take(address)
        for port in ports:
            registry.node_ports.take(port)

    def release(self, registry: Registry, obj: Object) -> None:
        _give_back(registry, *_held(obj))


def _held(obj: Object) -> tuple[set[str], set[int]]:
    """The addresses and node ports that a service has."""
    spec = obj["spec"]
    address = spec.get("clusterIP")
    ports = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
    return ({address} if address and address != HEADLESS else set()), ports


def _wishes(registry: Registry, spec: Object, before: tuple[set[str], set[int]]) -> list[FieldError]:
    problems = _one_stack(spec)
    address = spec.get("clusterIP")
    if address and address != HEADLESS and address not in before[0]:
        try:
            registry.addresses.check(address)
        except PoolError as error:
            problems.append(invalid("spec.clusterIPs", [address], str(error)))
    for index, port in enumerate(spec.get("ports") or ()):
        if port.get("nodePort") and port["nodePort"] not in before[1]:
            try:
                registry.node_ports.check(port["nodePort"])
            except PoolError as error:
                problems.append(invalid(f"spec.ports[{index}].nodePort", port["nodePort"], str(error)))
    return problems


def _one_stack(spec: Object) -> list[FieldError]:
    """What a cluster with IPv4 alone cannot give (pkg/registry/core/service/storage/alloc.go)."""
    problems: list[FieldError] = []
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        problems.append(invalid("spec.ipFamilyPolicy", "RequireDualStack", text))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family != "IPv4":
            problems.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    return problems


def _fill(registry: Registry, spec: Object) -> None:
    if spec["type"] == "ExternalName":
        return
    if not spec.get("clusterIP"):
        spec["clusterIP"] = registry.addresses.any()
    spec["clusterIPs"] = [spec["clusterIP"]]
    if spec["type"] in WITH_NODE_PORTS and spec.get("allocateLoadBalancerNodePorts", True):
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = registry.node_ports.any()


def _give_back(registry: Registry, addresses: set[str], ports: set[int]) -> None:
    for address in addresses:
        registry.addresses.release(address)
    for port in ports:
        registry.node_ports.release(port)


def _families(spec: Object) -> None:
    """One stack, IPv4; clusterIP and clusterIPs say the same."""
    with contextlib.suppress(LookupError):
        spec.setdefault("clusterIP", spec["clusterIPs"][0])
    if spec.get("clusterIP"):
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
    if spec["type"] != "ExternalName":
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")


def _keep_allocated(spec: Object, old: Object) -> None:
    """Who leaves out the cluster IP or a node port keeps it; who changes the type to one without them loses them."""
    if spec["type"] == "ExternalName" and old["type"] != "ExternalName":
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            spec.pop(field, None)
    elif spec["type"] != "ExternalName" and old.get("clusterIP"):
        spec["clusterIP"] = spec.get("clusterIP") or old["clusterIP"]
    if spec["type"] in WITH_NODE_PORTS:
        known = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            kept = known.get((port.get("protocol"), port.get("port")))
            if kept and not port.get("nodePort"):
                port["nodePort"] = kept
    elif old["type"] in WITH_NODE_PORTS:
        before = {port.get("nodePort") for port in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in before:
                port.pop("nodePort", None)
        spec.pop("externalTrafficPolicy", None)
        spec.pop("allocateLoadBalancerNodePorts", None)
