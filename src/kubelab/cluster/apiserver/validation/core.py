"""The smaller kinds. Upstream: pkg/apis/core/validation/{validation,events}.go, pkg/apis/*/validation."""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    required,
    too_long,
    too_many,
)
from kubelab.cluster.apiserver.validation.affinity import EFFECTS
from kubelab.cluster.apiserver.validation.common import ip_address, label_name, one_of, ordinary_ip
from kubelab.cluster.apiserver.validation.container import PROTOCOLS
from kubelab.cluster.apiserver.validation.resources import amount_of

Object = dict[str, Any]
MAX_DATA = 1024 * 1024
IMMUTABLE = "field is immutable"
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
MOST_ADDRESSES = 100  # of an endpoint in a slice
# What a secret of a type must hold, beside those below: all of these keys.
SECRET_KEYS = {"kubernetes.io/tls": ("tls.crt", "tls.key")}
JSON_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
ACCOUNT = "kubernetes.io/service-account.name"
REDACTED = "<secret contents redacted>"


def config_map(obj: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    text, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for field, entries in (("data", text), ("binaryData", binary)):
        for key in entries:
            problems += [invalid(f"{field}[{key}]", key, words) for words in names.config_key(key)]
            if field == "data" and key in binary:
                problems.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    size = sum(len(value.encode()) for value in text.values())
    if size + sum(len(base64.b64decode(value)) for value in binary.values()) > MAX_DATA:
        problems.append(too_long("", MAX_DATA))
    return problems


def secret(obj: Object) -> list[FieldError]:
    data, kind = obj.get("data") or {}, obj.get("type", "")
    problems = [invalid(f"data[{key}]", key, words) for key in data for words in names.config_key(key)]
    if sum(len(base64.b64decode(value)) for value in data.values()) > MAX_DATA:
        problems.append(too_long("data", MAX_DATA))
    if kind == "kubernetes.io/service-account-token" and not (obj["metadata"].get("annotations") or {}).get(ACCOUNT):
        problems.append(required(f"metadata.annotations[{ACCOUNT}]"))
    if kind in JSON_KEYS:
        return problems + _json(data, JSON_KEYS[kind])
    missing = [key for key in SECRET_KEYS.get(kind, ()) if key not in data]
    if kind == "kubernetes.io/ssh-auth" and not data.get("ssh-privatekey"):
        missing = ["ssh-privatekey"]
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        missing = ["username", "password"]
    return problems + [required(f"data[{key}]") for key in missing]


def _json(data: Object, key: str) -> list[FieldError]:
    """Docker's configuration has to be JSON; what is wrong is said in the words of Go's decoder."""
    if key not in data:
        return [required(f"data[{key}]")]
    text = base64.b64decode(data[key]).decode(errors="replace")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        rest = text[error.pos :]
        why = "unexpected end of JSON input"
        if rest:
            why = f"invalid character {_quoted(rest[0])} looking for beginning of value"
        return [invalid(f"data[{key}]", REDACTED, why)]
    if isinstance(found, dict) or found is None:
        return []
    kinds = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    why = f"json: cannot unmarshal {kinds[type(found)]} into Go value of type map[string]interface {{}}"
    return [invalid(f"data[{key}]", REDACTED, why)]


def _quoted(letter: str) -> str:
    return "'\\''" if letter == "'" else f"'{letter}'"


def namespace(obj: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    for name in (obj.get("spec") or {}).get("finalizers") or ():
        problems += [invalid("spec.finalizers", name, text) for text in names.qualified_name(name)]
        if "/" not in name and name not in STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            problems.append(invalid("spec.finalizers", name, text))
    return problems


def immutable_field(value: Any, old: Any, path: str) -> list[FieldError]:
    return [] if value == old else [invalid(path, value, IMMUTABLE)]


def immutable_data(obj: Object, old: Object, fields: tuple[str, ...]) -> list[FieldError]:
    """A ConfigMap or Secret marked `immutable` can only be deleted."""
    if not old.get("immutable"):
        return []
    problems: list[FieldError] = []
    if not obj.get("immutable"):
        problems.append(forbidden("immutable", "field is immutable when `immutable` is set"))
    changed = [field for field in fields if (obj.get(field) or {}) != (old.get(field) or {})]
    return problems + [forbidden(field, "field is immutable when `immutable` is set") for field in changed]


def node(obj: Object) -> list[FieldError]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    problems = _taints(spec.get("taints") or [])
    for field in ("capacity", "allocatable"):
        for name, amount in sorted((status.get(field) or {}).items()):
            problems += amount_of(name, amount, f"status.{field}.{name}")
    ranges = spec.get("podCIDRs") or []
    problems += [invalid(f"spec.podCIDRs[{i}]", value, t) for i, value in enumerate(ranges) for t in names.cidr(value)]
    if len(ranges) > 1 and not problems and len({":" in value for value in ranges}) < len(ranges):
        problems.append(invalid("spec.podCIDRs", ranges, "may specify no more than one CIDR for each IP family"))
    return problems


def _taints(taints: list[Object]) -> list[FieldError]:
    """(Upstream reports them under `metadata`.)"""
    problems: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate(taints):
        where, key, effect = f"metadata.taints[{index}]", taint.get("key", ""), taint.get("effect")
        problems += label_name(key, f"{where}.key")
        if wrong := names.label_value(taint.get("value") or ""):
            problems.append(invalid(f"{where}.value", taint["value"], ";".join(wrong)))
        problems += one_of(effect, EFFECTS, f"{where}.effect")
        if (key, effect) in seen:
            shown = (
                f'core.Taint{{Key:"{key}", Value:"{taint.get("value", "")}", Effect:"{effect or ""}", TimeAdded:<nil>}}'
            )
            text = "taints must be unique by key and effect pair"
            problems.append(FieldError(where, "FieldValueDuplicate", f"Duplicate value: {shown}: {text}"))
        seen.add((key, effect))
    return problems


def node_update(obj: Object, old: Object) -> list[FieldError]:
    """A node's pod range and provider are given once."""
    problems: list[FieldError] = []
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    seen: list[Object] = []
    for index, address in enumerate((obj.get("status") or {}).get("addresses") or ()):
        if address in seen:
            shown = GoValue(f'core.NodeAddress{{Type:"{address.get("type")}", Address:"{address.get("address")}"}}')
            problems.append(duplicate(f"status.addresses[{index}]", shown))
        seen.append(address)
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        problems.append(forbidden("spec.podCIDRs", text))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        problems.append(forbidden("spec.providerID", text))
    return problems


def endpoint_slice(obj: Object) -> list[FieldError]:
    """Upstream: pkg/apis/discovery/validation/validation.go."""
    kind = obj.get("addressType") or ""
    problems = one_of(kind, ("FQDN", "IPv4", "IPv6"), "addressType")
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        where, addresses = f"endpoints[{index}]", endpoint.get("addresses") or []
        if not addresses:
            problems.append(required(f"{where}.addresses", "must contain at least 1 address"))
        elif len(addresses) > MOST_ADDRESSES:
            problems.append(too_many(f"{where}.addresses", len(addresses), MOST_ADDRESSES))
        for at, address in enumerate(addresses):
            problems += _slice_address(kind, address, f"{where}.addresses[{at}]")
        for field, rule in (("nodeName", names.dns1123_subdomain), ("hostname", names.dns1123_label)):
            if endpoint.get(field) is not None:
                problems += [invalid(f"{where}.{field}", endpoint[field], text) for text in rule(endpoint[field])]
    return problems + _slice_ports(obj.get("ports") or [])


def _slice_address(kind: str, address: str, path: str) -> list[FieldError]:
    if kind == "FQDN":
        name = address.removesuffix(".")
        problems = [] if name else [required(path)]
        if name and name.count(".") < 1:
            problems.append(invalid(path, address, "should be a domain with at least two segments separated by dots"))
        return problems + [invalid(path, address, text) for text in names.dns1123_subdomain(name) if name]
    family = f"IPv{_version(address)}"
    wrong = [] if family == kind else [invalid(path, address, f"must be a valid {kind} address")]
    return wrong + ordinary_ip(address, path)


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address).version
    except ValueError:
        return 0


def _slice_ports(ports: list[Object]) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"ports[{index}]", port.get("name") or ""
        if name:
            problems += [invalid(f"{where}.name", name, text) for text in names.dns1123_label(name)]
        if name in seen:
            problems.append(duplicate(f"{where}.name", name))
        seen.add(name)
        problems += one_of(port.get("protocol"), PROTOCOLS, f"{where}.protocol")
        if port.get("port") is not None:
            problems += [invalid(f"{where}.port", port["port"], text) for text in names.port_number(port["port"])]
        if port.get("appProtocol") is not None:
            problems += label_name(port["appProtocol"], f"{where}.appProtocol")
    return problems


def endpoints(obj: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        where, ports = f"subsets[{index}]", subset.get("ports") or []
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            problems.append(required(where, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for at, address in enumerate(subset.get(field) or ()):
                problems += _endpoint_address(address, f"{where}.{field}[{at}]")
        for at, port in enumerate(ports):
            problems += _endpoint_port(port, f"{where}.ports[{at}]", named=len(ports) > 1)
    return problems


def _endpoint_address(address: Object, path: str) -> list[FieldError]:
    ip = address.get("ip") or ""
    problems = ip_address(ip, f"{path}.ip")
    for field, rule in (("hostname", names.dns1123_label), ("nodeName", names.dns1123_subdomain)):
        if address.get(field):
            problems += [invalid(f"{path}.{field}", address[field], text) for text in rule(address[field])]
    return problems + ordinary_ip(ip, f"{path}.ip")


def _endpoint_port(port: Object, path: str, *, named: bool) -> list[FieldError]:
    name = port.get("name") or ""
    problems = [required(f"{path}.name")] if named and not name else []
    if name:
        problems += [invalid(f"{path}.name", name, text) for text in names.dns1123_label(name)]
    problems += [invalid(f"{path}.port", port.get("port", 0), text) for text in names.port_number(port.get("port", 0))]
    problems += one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol")
    return problems + (label_name(port["appProtocol"], f"{path}.appProtocol") if port.get("appProtocol") else [])


def event(obj: Object) -> list[FieldError]:
    involved, namespace = obj.get("involvedObject") or {}, obj["metadata"].get("namespace")
    if (involved.get("namespace") or "default") == namespace:
        return []
    return [invalid("involvedObject.namespace", involved.get("namespace", ""), "does not match event.namespace")]


def lease(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    if spec.get("holderIdentity") == "":
        problems.append(invalid("spec.holderIdentity", "", "must not be empty"))
    for field in ("leaseDurationSeconds", "leaseTransitions"):
        value = spec.get(field)
        least = 1 if field == "leaseDurationSeconds" else 0
        if value is not None and value < least:
            words = "must be greater than 0" if least else "must be greater than or equal to 0"
            problems.append(invalid(f"spec.{field}", value, words))
    return problems
