"""Volumes of a pod. Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, required
from kubelab.cluster.apiserver.validation.container import field_ref

Object = dict[str, Any]
DOWNWARD_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
NAME_OF = {"configMap": "name", "secret": "secretName"}


def volumes(found: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, volume in enumerate(found):
        where, name = f"{path}[{index}]", volume.get("name") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        else:
            problems += [invalid(f"{where}.name", name, text) for text in names.dns1123_label(name)]
            if name in seen:
                problems.append(duplicate(f"{where}.name", name))
            seen.add(name)
        problems += _source(volume, where)
    return problems


def _source(volume: Object, path: str) -> list[FieldError]:
    sources = [key for key in volume if key != "name"]
    if not sources:
        return [required(path, "must specify a volume type")]
    problems = [forbidden(f"{path}.{name}", "may not specify more than 1 volume type") for name in sources[1:]]
    kind, source = sources[0], volume[sources[0]]
    if kind in NAME_OF:
        if not source.get(NAME_OF[kind]):
            problems.append(required(f"{path}.{kind}.{NAME_OF[kind]}"))
        problems += _items(source.get("items") or [], f"{path}.{kind}.items", "key")
    elif kind == "downwardAPI":
        problems += _items(source.get("items") or [], f"{path}.{kind}.items", "")
    elif kind == "projected":
        for index, projection in enumerate(source.get("sources") or []):
            problems += _projection(projection, f"{path}.projected.sources[{index}]")
    elif kind == "hostPath" and not source.get("path"):
        problems.append(required(f"{path}.hostPath.path"))
    return problems


def _projection(projection: Object, path: str) -> list[FieldError]:
    token = projection.get("serviceAccountToken")
    if token is not None:
        return _token(token, f"{path}.serviceAccountToken")
    return [
        problem
        for kind, source in projection.items()
        for problem in _items(source.get("items") or [], f"{path}.{kind}.items", "" if kind == "downwardAPI" else "key")
    ]


def _token(token: Object, path: str) -> list[FieldError]:
    """The bounds are those of a TokenRequest."""
    problems: list[FieldError] = []
    seconds = token.get("expirationSeconds", 3600)
    if seconds < 600:
        problems.append(
            invalid(f"{path}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        )
    if seconds > 1 << 32:
        words = "may not specify a duration larger than 2^32 seconds"
        problems.append(invalid(f"{path}.expirationSeconds", seconds, words))
    if not token.get("path"):
        problems.append(required(f"{path}.path"))
    return problems


def _items(items: list[Object], path: str, key: str) -> list[FieldError]:
    """Which keys become which files."""
    problems: list[FieldError] = []
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if key and not item.get(key):
            problems.append(required(f"{where}.{key}"))
        target = item.get("path") or ""
        if not target:
            problems.append(required(f"{where}.path"))
        elif target.startswith("/"):
            problems.append(invalid(f"{where}.path", target, "must be a relative path"))
        elif ".." in target.split("/"):
            problems.append(invalid(f"{where}.path", target, "must not contain '..'"))
        if "fieldRef" in item:
            problems += field_ref(item["fieldRef"], f"{where}.fieldRef", DOWNWARD_FIELDS)
        mode = item.get("mode")
        if mode is not None and not 0 <= mode <= 0o777:
            problems.append(
                invalid(f"{where}.mode", mode, "must be a number between 0 and 0777 (octal), both inclusive")
            )
    return problems
