"""Environment variables. Upstream: pkg/apis/core/validation/validation.go (ValidateEnv, ValidateEnvFrom)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import label_name

Object = dict[str, Any]
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
NO_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
TOO_MANY = "may not have more than one field specified at a time"
FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
# What the API knows of a pod's fields (pkg/apis/core/pods/helpers.go, ConvertDownwardAPIFieldLabel)
CONVERTIBLE = {
    *FIELDS,
    "metadata.annotations",
    "metadata.labels",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
}
RESOURCES = (
    *("limits.cpu", "limits.ephemeral-storage", "limits.memory"),
    *("requests.cpu", "requests.ephemeral-storage", "requests.memory"),
)
HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def env(variables: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, variable in enumerate(variables):
        where, name = f"{path}[{index}]", variable.get("name") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        else:
            problems += [invalid(f"{where}.name", name, text) for text in names.env_name(name)]
        if "valueFrom" in variable:
            problems += _value_from(variable, f"{where}.valueFrom")
    return problems


def _value_from(variable: Object, path: str) -> list[FieldError]:
    source, problems = variable["valueFrom"], []
    if "fieldRef" in source:
        problems += field_ref(source["fieldRef"], f"{path}.fieldRef", FIELDS)
    if "resourceFieldRef" in source:
        problems += resource_field_ref(source["resourceFieldRef"], f"{path}.resourceFieldRef")
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in source:
            problems += _key_ref(source[name], f"{path}.{name}")
    given = sum(name in source for name in SOURCES)
    if not given:
        problems.append(invalid(path, "", NO_SOURCE))
    elif variable.get("value"):
        problems.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif given > 1:
        problems.append(invalid(path, "", TOO_MANY))
    return problems


def field_ref(ref: Object, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    """A field of the pod itself: one of `allowed`, or one label or annotation by its key."""
    field = ref.get("fieldPath") or ""
    if not field:
        return [required(f"{path}.fieldPath")]
    name, bracket, key = field.partition("['")
    if bracket and key.endswith("']"):
        return _subscript(name, key.removesuffix("']"), path, field)
    if field not in CONVERTIBLE:
        text = f"error converting fieldPath: field label not supported: {field}"
        return [invalid(f"{path}.fieldPath", field, text)]
    return [] if field in allowed else [not_supported(f"{path}.fieldPath", field, allowed)]


def _subscript(name: str, key: str, path: str, field: str) -> list[FieldError]:
    if name == "metadata.annotations":
        return label_name(key.lower(), path)
    if name == "metadata.labels":
        return label_name(key, path)
    text = f'error converting fieldPath: field label "{field}" does not support subscript'
    return [invalid(f"{path}.fieldPath", field, text)]


def resource_field_ref(ref: Object, path: str, *, volume: bool = False) -> list[FieldError]:
    """A container's resource; in a volume the container has to be named."""
    problems: list[FieldError] = []
    resource = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        problems.append(required(f"{path}.containerName"))
    elif not resource:
        problems.append(required(f"{path}.resource"))
    elif resource not in RESOURCES and not resource.startswith(HUGE_PAGES):
        problems.append(not_supported(f"{path}.resource", resource, RESOURCES))
    return problems + _divisor(resource, ref.get("divisor") or "0", path)


def _divisor(resource: str, divisor: str, path: str) -> list[FieldError]:
    if not quantity.parse(divisor):
        return []
    kind = resource.partition(".")[2]
    allowed = ("1m", "1") if kind == "cpu" else BYTES
    what = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(kind, "hugepages")
    if divisor in allowed or (what == "hugepages" and not resource.startswith(HUGE_PAGES)):
        return []
    shown = "1m and 1" if kind == "cpu" else ", ".join(BYTES)
    return [
        invalid(f"{path}.divisor", resource, f"only divisor's values {shown} are supported with the {what} resource")
    ]


def _key_ref(ref: Object, path: str) -> list[FieldError]:
    name = ref.get("name") or ""
    problems = [invalid(f"{path}.name", name, text) for text in names.dns1123_subdomain(name)]
    if not ref.get("key"):
        return [*problems, required(f"{path}.key")]
    return problems + [invalid(f"{path}.key", ref["key"], text) for text in names.config_key(ref["key"])]


def env_from(sources: list[Object], path: str) -> list[FieldError]:
    """The sums of the sources are reported on the list, as upstream does."""
    problems: list[FieldError] = []
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        if prefix := source.get("prefix"):
            problems += [invalid(f"{where}.prefix", prefix, text) for text in names.env_name(prefix)]
        given = [name for name in ("configMapRef", "secretRef") if name in source]
        for name in given:
            problems += _whole(source[name].get("name") or "", f"{where}.{name}.name")
        if not given:
            problems.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            problems.append(invalid(path, "", TOO_MANY))
    return problems


def _whole(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    return [invalid(path, name, text) for text in names.dns1123_subdomain(name)]
