"""What a container may be. Upstream: pkg/apis/core/validation/validation.go (validateContainers and below)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from kubelab.cluster.apiserver.validation.common import one_of
from kubelab.cluster.apiserver.validation.probe import handler, probe

Object = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("FallbackToLogsOnError", "File")
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
NO_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def container(c: Object, path: str, mountable: set[str], *, init: bool) -> list[FieldError]:
    """A container or init container; `mountable` are the names of the pod's volumes."""
    return [
        *_identity(c, path),
        *_ports(c.get("ports") or [], f"{path}.ports"),
        *_env(c.get("env") or [], f"{path}.env"),
        *_env_from(c.get("envFrom") or [], f"{path}.envFrom"),
        *_mounts(c.get("volumeMounts") or [], f"{path}.volumeMounts", mountable),
        *_resources(c.get("resources") or {}, f"{path}.resources"),
        *_probes(c, path, init),
        *_lifecycle(c, path),
    ]


def _identity(c: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    if not c.get("name"):
        problems.append(required(f"{path}.name"))
    else:
        problems += [invalid(f"{path}.name", c["name"], text) for text in names.dns1123_label(c["name"])]
    image = c.get("image") or ""
    if not image:
        problems.append(required(f"{path}.image"))
    elif image.strip() != image:
        problems.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    problems += one_of(c.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy")
    problems += one_of(c.get("terminationMessagePolicy"), MESSAGE_POLICIES, f"{path}.terminationMessagePolicy")
    return problems


def _ports(ports: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(ports):
        where = f"{path}[{index}]"
        name = port.get("name")
        if name:
            problems += [invalid(f"{where}.name", name, text) for text in names.port_name(name)]
            if name in seen:
                problems.append(duplicate(f"{where}.name", name))
            seen.add(name)
        number = port.get("containerPort", 0)
        if not number:
            problems.append(required(f"{where}.containerPort"))
        else:
            problems += [invalid(f"{where}.containerPort", number, text) for text in names.port_number(number)]
        if port.get("hostPort"):
            problems += [invalid(f"{where}.hostPort", port["hostPort"], t) for t in names.port_number(port["hostPort"])]
        problems += one_of(port.get("protocol"), PROTOCOLS, f"{where}.protocol")
    return problems


def _env(env: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, variable in enumerate(env):
        where, name = f"{path}[{index}]", variable.get("name") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        else:
            problems += [invalid(f"{where}.name", name, text) for text in names.env_name(name)]
        if "valueFrom" in variable:
            problems += _value_from(variable, f"{where}.valueFrom")
    return problems


def _value_from(variable: Object, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    given = [name for name in SOURCES if name in source]
    if not given:
        return [invalid(path, "", NO_SOURCE)]
    problems: list[FieldError] = []
    if variable.get("value"):
        problems.append(invalid(path, "", "may not be specified when `value` is not empty"))
    if len(given) > 1:
        problems.append(invalid(path, "", "may not have more than one field specified at a time"))
    if "fieldRef" in source:
        problems += field_ref(source["fieldRef"], f"{path}.fieldRef", ENV_FIELDS)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            problems += _key_ref(source[name], f"{path}.{name}")
    if "resourceFieldRef" in source and not source["resourceFieldRef"].get("resource"):
        problems.append(required(f"{path}.resourceFieldRef.resource"))
    return problems


def field_ref(ref: Object, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    """A field of the pod itself: one of `allowed`, or one label or annotation by its key."""
    field = ref.get("fieldPath") or ""
    if not field:
        return [required(f"{path}.fieldPath")]
    if field in allowed or (field.endswith("']") and field.startswith(("metadata.labels['", "metadata.annotations['"))):
        return []
    return [not_supported(f"{path}.fieldPath", field, allowed)]


def _key_ref(ref: Object, path: str) -> list[FieldError]:
    if not ref.get("key"):
        return [required(f"{path}.key")]
    return [invalid(f"{path}.key", ref["key"], text) for text in names.config_key(ref["key"])]


def _env_from(sources: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        if not given:
            problems.append(invalid(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            problems.append(invalid(where, "", "may not have more than one field specified at a time"))
        for name in given:
            if not source[name].get("name"):
                problems.append(required(f"{where}.{name}.name"))
    return problems


def _mounts(mounts: list[Object], path: str, mountable: set[str]) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, mount in enumerate(mounts):
        where, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        elif name not in mountable:
            problems.append(not_found(f"{where}.name", name))
        if not target:
            problems.append(required(f"{where}.mountPath"))
        elif target in seen:
            problems.append(invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        sub_path = mount.get("subPath") or ""
        if sub_path.startswith("/"):
            problems.append(invalid(f"{where}.subPath", sub_path, "must be a relative path"))
        if ".." in sub_path.split("/"):
            problems.append(invalid(f"{where}.subPath", sub_path, "must not contain '..'"))
    return problems


def _resources(resources: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if (
                name not in ("cpu", "memory", "ephemeral-storage")
                and "/" not in name
                and not name.startswith("hugepages-")
            ):
                text = "must be a standard resource type or fully qualified"
                problems.append(invalid(f"{path}.{field}[{name}]", name, text))
            if quantity.parse(amount) < 0:
                problems.append(invalid(f"{path}.{field}[{name}]", amount, "must be greater than or equal to 0"))
    for name, amount in requests.items():
        if name in limits and quantity.parse(amount) > quantity.parse(limits[name]):
            text = f"must be less than or equal to {name} limit of {limits[name]}"
            problems.append(invalid(f"{path}.requests", amount, text))
    return problems


def _probes(c: Object, path: str, init: bool) -> list[FieldError]:
    problems: list[FieldError] = []
    sidecar = init and c.get("restartPolicy") == "Always"
    if c.get("restartPolicy") and not sidecar:
        where = f"{path}.restartPolicy"
        if init:
            problems.append(not_supported(where, c["restartPolicy"], ("Always",)))
        else:
            problems.append(forbidden(where, "may not be set for non-init containers"))
    for name in PROBES:
        if name not in c:
            continue
        where = f"{path}.{name}"
        if init and not sidecar:
            problems.append(forbidden(where, "may not be set for init containers without restartPolicy=Always"))
        else:
            problems += probe(c[name], where, once=name != "readinessProbe")
    return problems


def _lifecycle(c: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for name, hook in (c.get("lifecycle") or {}).items():
        if isinstance(hook, dict):
            problems += handler(hook, f"{path}.lifecycle.{name}", ("exec", "httpGet", "tcpSocket", "sleep"))
    return problems
