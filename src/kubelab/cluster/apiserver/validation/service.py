"""Services. Upstream: pkg/apis/core/validation/validation.go (ValidateService, ValidateServiceUpdate)."""

from __future__ import annotations

import ipaddress
from typing import Any

from kubelab.cluster.apiserver import names, objectmeta
from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubelab.cluster.apiserver.validation.common import ip_address, label_name, one_of, optional, ordinary_ip, port
from kubelab.cluster.apiserver.validation.container import PROTOCOLS

Object = dict[str, Any]
TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
LONGEST_AFFINITY = 86400  # seconds, MaxClientIPServiceAffinitySeconds
CLIENT_IP = "when session affinity type is ClientIP"
LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"


def service(spec: Object) -> list[FieldError]:
    kind, headless = spec.get("type"), spec.get("clusterIP") == "None"
    problems: list[FieldError] = []
    if not spec.get("ports") and not headless and kind != "ExternalName":
        problems.append(required("spec.ports"))
    if headless and kind in ("LoadBalancer", "NodePort"):
        text = f"may not be set to 'None' for {kind} services"
        problems.append(invalid("spec.clusterIPs[0]", "None", text))
    if kind == "ExternalName":
        problems += _external_name(spec)
    problems += _ports(spec.get("ports") or [])
    problems += objectmeta.labels(spec.get("selector"), "spec.selector")
    problems += _affinity(spec) + _cluster_ips(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        where = f"spec.externalIPs[{index}]"
        problems += ip_address(address, where) or ordinary_ip(address, where)
    problems += one_of(kind, TYPES, "spec.type")
    return problems + _port_clashes(spec.get("ports") or [], kind or "") + _balancing(spec) + _traffic(spec)


def service_update(spec: Object, old: Object) -> list[FieldError]:
    """A cluster IP and the families, once given, stay; but a second may come and go."""
    if "ExternalName" in (spec.get("type"), old.get("type")):
        return []
    problems: list[FieldError] = []
    before, now = old.get("clusterIPs") or [], spec.get("clusterIPs") or []
    if before and now and before[0] != now[0]:
        problems.append(invalid("spec.clusterIPs[0]", now, "may not change once set"))
    families, wanted = old.get("ipFamilies") or [], spec.get("ipFamilies") or []
    if families and wanted and families[0] != wanted[0]:
        problems.append(invalid("spec.ipFamilies[0]", _families(wanted), "may not change once set"))
    balanced = spec.get("type") == old.get("type") == "LoadBalancer"
    if balanced and spec.get("loadBalancerClass") != old.get("loadBalancerClass"):
        shown = spec.get("loadBalancerClass") or "null"
        problems.append(invalid("spec.loadBalancerClass", shown, "may not change once set"))
    return problems


def _families(families: list[str]) -> GoValue:
    return GoValue(f"[]core.IPFamily{{{', '.join(f'{chr(34)}{family}{chr(34)}' for family in families)}}}")


def _external_name(spec: Object) -> list[FieldError]:
    given = [field for field in ("clusterIPs", "ipFamilies", "ipFamilyPolicy") if spec.get(field)]
    problems = [forbidden(f"spec.{field}", "may not be set for ExternalName services") for field in given]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*problems, required("spec.externalName")]
    return problems + [invalid("spec.externalName", name, text) for text in names.dns1123_subdomain(name)]


def _affinity(spec: Object) -> list[FieldError]:
    kind, config, path = spec.get("sessionAffinity"), spec.get("sessionAffinityConfig"), "spec.sessionAffinityConfig"
    problems = one_of(kind, ("ClientIP", "None"), "spec.sessionAffinity")
    if kind == "None" and config is not None:
        problems.append(forbidden(path, "must not be set when session affinity is None"))
    if kind != "ClientIP":
        return problems
    seconds = ((config or {}).get("clientIP") or {}).get("timeoutSeconds")
    if seconds is None:
        problems.append(required(f"{path}.clientIP.timeoutSeconds", CLIENT_IP))
    elif not 0 < seconds <= LONGEST_AFFINITY:
        text = f"must be greater than 0 and less than {LONGEST_AFFINITY}"
        problems.append(invalid(f"{path}.clientIP.timeoutSeconds", seconds, text))
    return problems


def _cluster_ips(spec: Object) -> list[FieldError]:
    """clusterIP, clusterIPs and ipFamilies have to say the same (ValidateServiceClusterIPsRelatedFields)."""
    if spec.get("type") == "ExternalName":
        return []
    first, all_of_them, path = spec.get("clusterIP"), spec.get("clusterIPs") or [], "spec.clusterIPs"
    problems: list[FieldError] = []
    if first and not all_of_them:
        problems.append(required(path))
    elif first and all_of_them[0] != first:
        problems.append(invalid(path, all_of_them, "first value must match `clusterIP`"))
    elif not first and all_of_them:
        problems.append(invalid(path, all_of_them, "must be empty when `clusterIP` is not specified"))
    problems += _family_fields(spec)
    wrong: list[FieldError] = []
    for index, address in enumerate(all_of_them):
        if index == 0 and address == "None":
            if len(all_of_them) > 1:
                wrong.append(invalid(path, all_of_them, "'None' must be the first and only value"))
        else:
            wrong += ip_address(address, f"{path}[{index}]")
    problems += wrong
    if len(all_of_them) > 2:
        problems.append(invalid(path, all_of_them, "may only hold up to 2 values"))
    return problems if wrong else problems + _versions(spec, all_of_them)


def _family_fields(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in ("IPv4", "IPv6"):
            problems.append(not_supported(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6")))
        if family in seen:
            problems.append(duplicate(f"spec.ipFamilies[{index}]", family))
        seen.add(family)
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    return problems + optional(spec.get("ipFamilyPolicy"), policies, "spec.ipFamilyPolicy")


def _versions(spec: Object, addresses: list[str]) -> list[FieldError]:
    versions = [ipaddress.ip_address(address).version for address in addresses if address != "None"]
    problems: list[FieldError] = []
    if len(versions) > 1 and len(set(versions)) < 2:
        text = "may specify no more than one IP for each IP family"
        problems.append(invalid("spec.clusterIPs", addresses, text))
    for index, (version, family) in enumerate(zip(versions, spec.get("ipFamilies") or (), strict=False)):
        if f"IPv{version}" != family:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            problems.append(invalid(f"spec.clusterIPs[{index}]", addresses[index], text))
    return problems


def _ports(ports: list[Object]) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, entry in enumerate(ports):
        where, name = f"spec.ports[{index}]", entry.get("name") or ""
        if not name and len(ports) > 1:
            problems.append(required(f"{where}.name"))
        elif name:
            problems += [invalid(f"{where}.name", name, text) for text in names.dns1123_label(name)]
            if name in seen:
                problems.append(duplicate(f"{where}.name", name))
            seen.add(name)
        problems += [invalid(f"{where}.port", entry.get("port", 0), t) for t in names.port_number(entry.get("port", 0))]
        problems += one_of(entry.get("protocol"), PROTOCOLS, f"{where}.protocol")
        problems += port(entry.get("targetPort", 0), f"{where}.targetPort")
        if entry.get("appProtocol") is not None:
            problems += label_name(entry["appProtocol"], f"{where}.appProtocol")
    return problems


def _port_clashes(ports: list[Object], kind: str) -> list[FieldError]:
    """Node ports where there can be none, and pairs of protocol and port that are there twice."""
    problems: list[FieldError] = []
    if kind == "ClusterIP":
        text = "may not be used when `type` is 'ClusterIP'"
        taken = [index for index, entry in enumerate(ports) if entry.get("nodePort")]
        problems += [forbidden(f"spec.ports[{index}].nodePort", text) for index in taken]
    seen: set[tuple[str, Any, Any]] = set()
    for field in ("nodePort", "port"):
        for index, entry in enumerate(ports):
            key = (field, entry.get("protocol"), entry.get(field))
            if not entry.get(field) and field == "nodePort":
                continue
            if key in seen and field == "nodePort":
                problems.append(duplicate(f"spec.ports[{index}].nodePort", entry["nodePort"]))
            elif key in seen:
                problems.append(duplicate(f"spec.ports[{index}]", _service_port(entry)))
            seen.add(key)
    return problems


def _service_port(entry: Object) -> GoValue:
    """The pair, in the struct that upstream compares them by."""
    return GoValue(
        f'core.ServicePort{{Name:"", Protocol:"{entry.get("protocol", "")}", AppProtocol:(*string)(nil),'
        f' Port:{entry.get("port", 0)}, TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:""}}, NodePort:0}}'
    )


def _balancing(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    balanced = spec.get("type") == "LoadBalancer"
    ranges = spec.get("loadBalancerSourceRanges") or []
    if ranges and not balanced:
        problems.append(forbidden("spec.LoadBalancerSourceRanges", LOAD_BALANCER_ONLY))
    for index, value in enumerate(ranges):
        if names.cidr(value.strip()):
            where = f"spec.LoadBalancerSourceRanges[{index}]"
            problems += [invalid(where, value.strip(), text) for text in names.cidr(value.strip())]
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balanced:
        problems.append(forbidden("spec.allocateLoadBalancerNodePorts", LOAD_BALANCER_ONLY))
    chosen = spec.get("loadBalancerClass")
    if chosen is not None and not balanced:
        problems.append(forbidden("spec.loadBalancerClass", LOAD_BALANCER_ONLY))
    elif chosen is not None:
        problems += label_name(chosen, "spec.loadBalancerClass")
    return problems


def _traffic(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    policy, kind = spec.get("externalTrafficPolicy"), spec.get("type")
    outside = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs"))
    if not outside and policy:
        text = "may only be set for externally-accessible services"
        problems.append(invalid("spec.externalTrafficPolicy", policy, text))
    elif outside:
        problems += one_of(policy, ("Cluster", "Local"), "spec.externalTrafficPolicy")
    checked = kind == "LoadBalancer" and policy == "Local"
    if spec.get("healthCheckNodePort") and not checked:
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        problems.append(invalid("spec.healthCheckNodePort", spec["healthCheckNodePort"], text))
    problems += optional(spec.get("internalTrafficPolicy"), ("Cluster", "Local"), "spec.internalTrafficPolicy")
    return problems + optional(spec.get("trafficDistribution"), ("PreferClose",), "spec.trafficDistribution")
