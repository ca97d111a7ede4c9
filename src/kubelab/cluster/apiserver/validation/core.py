"""The smaller kinds. Upstream: pkg/apis/core/validation/{validation,events}.go, pkg/apis/*/validation."""

from __future__ import annotations

import base64
from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_supported, required, too_long
from kubelab.cluster.apiserver.validation.common import one_of

Object = dict[str, Any]
MAX_DATA = 1024 * 1024
IMMUTABLE = "field is immutable"
EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
# What a secret of a type must hold: (key, …), all of them.
SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def config_map(obj: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    text, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for field, entries in (("data", text), ("binaryData", binary)):
        for key in entries:
            problems += [invalid(f"{field}[{key}]", key, words) for words in names.config_key(key)]
            if field == "data" and key in binary:
                problems.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    if sum(len(value.encode()) for value in (*text.values(), *binary.values())) > MAX_DATA:
        problems.append(too_long("", MAX_DATA))
    return problems


def secret(obj: Object) -> list[FieldError]:
    data = obj.get("data") or {}
    problems = [invalid(f"data[{key}]", key, words) for key in data for words in names.config_key(key)]
    if sum(len(base64.b64decode(value)) for value in data.values()) > MAX_DATA:
        problems.append(too_long("data", MAX_DATA))
    missing = [key for key in SECRET_KEYS.get(obj.get("type", ""), ()) if key not in data]
    return problems + [required(f"data[{key}]") for key in missing]


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
    problems: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        where = f"spec.taints[{index}]"
        problems += [
            invalid(f"{where}.key", taint.get("key", ""), t) for t in names.qualified_name(taint.get("key", ""))
        ]
        problems += [invalid(f"{where}.value", taint["value"], t) for t in names.label_value(taint.get("value") or "")]
        if not taint.get("effect"):
            problems.append(required(f"{where}.effect"))
        elif taint["effect"] not in EFFECTS:
            problems.append(not_supported(f"{where}.effect", taint["effect"], EFFECTS))
        if (taint.get("key"), taint.get("effect")) in seen:
            text = "taints must be unique by key and effect pair"
            problems.append(FieldError(where, "FieldValueDuplicate", f'Duplicate value: "{taint.get("key")}": {text}'))
        seen.add((taint.get("key"), taint.get("effect")))
    return problems


def node_update(obj: Object, old: Object) -> list[FieldError]:
    """A node's pod range and provider are given once."""
    problems: list[FieldError] = []
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
        text = 'node updates may not change podCIDR except from "" to valid'
        problems.append(forbidden("spec.podCIDRs", text))
    if before.get("providerID") and spec.get("providerID") != before["providerID"]:
        text = 'node updates may not change providerID except from "" to valid'
        problems.append(forbidden("spec.providerID", text))
    return problems


def endpoint_slice(obj: Object) -> list[FieldError]:
    problems = one_of(obj.get("addressType"), ("FQDN", "IPv4", "IPv6"), "addressType")
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        if not endpoint.get("addresses"):
            problems.append(required(f"endpoints[{index}].addresses", "must contain at least 1 address"))
        for at, address in enumerate(endpoint.get("addresses") or ()):
            where = f"endpoints[{index}].addresses[{at}]"
            problems += [invalid(where, address, t) for t in names.ip_address(address)]
    return problems


def event(obj: Object) -> list[FieldError]:
    involved, namespace = obj.get("involvedObject") or {}, obj["metadata"].get("namespace")
    if (involved.get("namespace") or "default") == namespace:
        return []
    return [invalid("involvedObject.namespace", involved.get("namespace", ""), "does not match event.namespace")]


def lease(spec: Object) -> list[FieldError]:
    problems: list[FieldError] = []
    for field in ("leaseDurationSeconds", "leaseTransitions"):
        value = spec.get(field)
        least = 1 if field == "leaseDurationSeconds" else 0
        if value is not None and value < least:
            words = "must be greater than 0" if least else "must be greater than or equal to 0"
            problems.append(invalid(f"spec.{field}", value, words))
    return problems
