"""Services. Upstream: pkg/apis/core/validation/validation.go (ValidateService, ValidateServiceUpdate)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names, objectmeta
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, required
from kubelab.cluster.apiserver.validation.common import one_of, port

Object = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")


def service(spec: Object) -> list[FieldError]:
    problems = one_of(spec.get("type"), TYPES, "spec.type")
    problems += one_of(spec.get("sessionAffinity"), ("ClientIP", "None"), "spec.sessionAffinity")
    problems += objectmeta.labels(spec.get("selector"), "spec.selector")
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and spec.get("type") != "ExternalName":
        problems.append(required("spec.ports"))
    problems += _ports(spec.get("ports") or [], spec.get("type", ""))
    problems += _addresses(spec)
    if spec.get("type") == "ExternalName":
        problems += _external_name(spec)
    return problems


def service_update(spec: Object, old: Object) -> list[FieldError]:
    """A cluster IP, once given, stays."""
    before, now = old.get("clusterIP"), spec.get("clusterIP")
    kept = "ExternalName" in (spec.get("type"), old.get("type")) or not before or before == now
    return [] if kept else [invalid("spec.clusterIPs[0]", [now], "may not change once set")]


def _external_name(spec: Object) -> list[FieldError]:
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [required("spec.externalName")]
    return [invalid("spec.externalName", name, text) for text in names.dns1123_subdomain(name.lower())]


def _addresses(spec: Object) -> list[FieldError]:
    address, all_of_them = spec.get("clusterIP"), spec.get("clusterIPs") or []
    problems: list[FieldError] = []
    if spec.get("type") == "ExternalName":
        return [forbidden("spec.clusterIPs[0]", "may not be set for ExternalName services")] if address else []
    if address == "None" and spec.get("type") in ("NodePort", "LoadBalancer"):
        text = f"may not be set to 'None' for {spec['type']} services"
        problems.append(invalid("spec.clusterIPs[0]", "None", text))
    elif address and address != "None":
        problems += [invalid("spec.clusterIPs[0]", address, text) for text in names.ip_address(address)]
    if all_of_them and address and all_of_them[0] != address:
        text = "first value must match `clusterIP`"
        problems.append(invalid("spec.clusterIPs", all_of_them, text))
    return problems


def _ports(ports: list[Object], kind: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen_names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    seen_node_ports: set[tuple[Any, Any]] = set()
    for index, entry in enumerate(ports):
        where, name = f"spec.ports[{index}]", entry.get("name") or ""
        if not name and len(ports) > 1:
            problems.append(required(f"{where}.name"))
        elif name:
            problems += [invalid(f"{where}.name", name, text) for text in names.dns1123_label(name)]
            if name in seen_names:
                problems.append(duplicate(f"{where}.name", name))
            seen_names.add(name)
        problems += [invalid(f"{where}.port", entry.get("port", 0), t) for t in names.port_number(entry.get("port", 0))]
        problems += one_of(entry.get("protocol"), PROTOCOLS, f"{where}.protocol")
        problems += port(entry.get("targetPort"), f"{where}.targetPort")
        if entry.get("nodePort") and kind not in ("NodePort", "LoadBalancer"):
            problems.append(forbidden(f"{where}.nodePort", "may not be used when `type` is 'ClusterIP'"))
        key = (entry.get("protocol"), entry.get("port"))
        if key in seen:
            problems.append(duplicate(where, {"protocol": key[0], "port": key[1]}))
        seen.add(key)
        node_port = (entry.get("protocol"), entry.get("nodePort"))
        if entry.get("nodePort") and node_port in seen_node_ports:
            problems.append(duplicate(f"{where}.nodePort", entry["nodePort"]))
        seen_node_ports.add(node_port)
    return problems
