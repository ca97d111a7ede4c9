"""Volumes of a pod. Upstream: pkg/apis/core/validation/validation.go (ValidateVolumes)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelab.cluster.apiserver.validation.common import no_backsteps, relative_path
from kubelab.cluster.apiserver.validation.env import field_ref, resource_field_ref
from kubelab.cluster.apiserver.validation.mounts import Volumes

Object = dict[str, Any]
DOWNWARD_FIELDS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
NAME_OF = {"configMap": "name", "secret": "secretName", "persistentVolumeClaim": "claimName"}
HOST_PATH_TYPES = ("", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket")
BAD_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
# The order in which upstream looks for a volume's source: of several the later ones are refused.
ORDER = (
    *("emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs", "iscsi"),
    *("glusterfs", "flocker", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "quobyte", "downwardAPI", "fc"),
    *("flexVolume", "configMap", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk"),
    *("storageos", "projected", "scaleIO", "csi", "ephemeral", "image"),
)


def volumes(found: list[Object], path: str) -> tuple[Volumes, list[FieldError]]:
    """The valid volumes by name, which is what can be mounted, and what is wrong with the others."""
    valid: Volumes = {}
    problems: list[FieldError] = []
    for index, volume in enumerate(found):
        where, name = f"{path}[{index}]", volume.get("name") or ""
        wrong = _source(volume, where)
        if not name:
            wrong.append(required(f"{where}.name"))
        else:
            wrong += [invalid(f"{where}.name", name, text) for text in names.dns1123_label(name)]
        if name in valid:
            wrong.append(duplicate(f"{where}.name", name))
        if not wrong:
            valid[name] = volume
        problems += wrong
    return valid, problems


def _source(volume: Object, path: str) -> list[FieldError]:
    sources = [kind for kind in ORDER if kind in volume]
    if not sources:
        return [required(path, "must specify a volume type")]
    kind = sources[0]
    problems = _kind(kind, volume[kind], f"{path}.{kind}")
    return problems + [forbidden(f"{path}.{name}", "may not specify more than 1 volume type") for name in sources[1:]]


def _kind(kind: str, source: Object, path: str) -> list[FieldError]:
    if kind in NAME_OF:
        field = NAME_OF[kind]
        problems = [] if source.get(field) else [required(f"{path}.{field}")]
        return problems + _mode(source, "defaultMode", path) + _items(source.get("items") or [], f"{path}.items")
    if kind == "downwardAPI":
        problems = _mode(source, "defaultMode", path)
        for item in source.get("items") or []:
            problems += _downward(item, path)
        return problems
    if kind == "projected":
        return _mode(source, "defaultMode", path) + _projections(source.get("sources") or [], path)
    if kind == "hostPath":
        return _host_path(source, path)
    if kind == "emptyDir" and quantity.parse(source.get("sizeLimit", 0)) < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _host_path(source: Object, path: str) -> list[FieldError]:
    if not source.get("path"):
        return [required(f"{path}.path")]
    problems = no_backsteps(source["path"], f"{path}.path")
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        problems.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))
    return problems


def _projections(sources: list[Object], path: str) -> list[FieldError]:
    """The sources of one volume share its paths."""
    problems: list[FieldError] = []
    seen: set[str] = set()
    for index, source in enumerate(sources):
        where = f"{path}.sources[{index}]"
        for kind in ("secret", "configMap"):
            if kind in source:
                problems += _projected_keys(source[kind], f"{where}.{kind}", path, seen)
        for item in (source.get("downwardAPI") or {}).get("items") or ():
            problems += _downward(item, f"{where}.downwardAPI")
            problems += _twice(item.get("path"), item.get("path") or "", seen, path)
        if "serviceAccountToken" in source:
            problems += _token(source["serviceAccountToken"], f"{where}.serviceAccountToken", path)
        if len(source) > 1:
            problems.append(forbidden(where, "may not specify more than 1 volume type per source"))
    return problems


def _projected_keys(source: Object, where: str, path: str, seen: set[str]) -> list[FieldError]:
    name, items = source.get("name") or "", source.get("items") or []
    problems = [] if name else [required(f"{where}.name")]
    problems += _items(items, f"{where}.items")
    return problems + [problem for item in items for problem in _twice(item.get("path"), name, seen, path)]


def _twice(target: str | None, shown: str, seen: set[str], path: str) -> list[FieldError]:
    if not target:
        return []
    if target in seen:
        return [invalid(path, shown, "conflicting duplicate paths")]
    seen.add(target)
    return []


def _token(token: Object, where: str, path: str) -> list[FieldError]:
    """The bounds are those of a TokenRequest. (Its path is reported on the volume, as upstream does.)"""
    problems: list[FieldError] = []
    seconds = token.get("expirationSeconds", 3600)
    if seconds < 600:
        text = "may not specify a duration less than 10 minutes"
        problems.append(invalid(f"{where}.expirationSeconds", seconds, text))
    if seconds > 1 << 32:
        words = "may not specify a duration larger than 2^32 seconds"
        problems.append(invalid(f"{where}.expirationSeconds", seconds, words))
    if not token.get("path"):
        return [*problems, required(f"{path}.path")]
    return problems + _target(token["path"], f"{path}.path")


def _items(items: list[Object], path: str) -> list[FieldError]:
    """Which keys become which files."""
    problems: list[FieldError] = []
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if not item.get("key"):
            problems.append(required(f"{where}.key"))
        if not item.get("path"):
            problems.append(required(f"{where}.path"))
        problems += _target(item.get("path") or "", f"{where}.path") + _mode(item, "mode", where)
    return problems


def _downward(item: Object, path: str) -> list[FieldError]:
    """A file with a field of the pod. (Upstream reports it on the volume, without the item's index.)"""
    problems = [] if item.get("path") else [required(f"{path}.path")]
    problems += _target(item.get("path") or "", f"{path}.path")
    if "fieldRef" in item:
        problems += field_ref(item["fieldRef"], f"{path}.fieldRef", DOWNWARD_FIELDS)
        if "resourceFieldRef" in item:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            problems.append(invalid(path, "resource", text))
    elif "resourceFieldRef" in item:
        problems += resource_field_ref(item["resourceFieldRef"], f"{path}.resourceFieldRef", volume=True)
    else:
        problems.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return problems + _mode(item, "mode", path)


def _target(target: str, path: str) -> list[FieldError]:
    """A path inside the volume, which itself uses names that start with `..` (ValidateLocalNonReservedPath)."""
    problems = relative_path(target, path)
    if target.startswith("..") and not target.startswith("../"):
        problems.append(invalid(path, target, "must not start with '..'"))
    return problems


def _mode(source: Object, field: str, path: str) -> list[FieldError]:
    mode = source.get(field)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(f"{path}.{field}", mode, BAD_MODE)]
