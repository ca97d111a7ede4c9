"""Where a container has its volumes. Upstream: validation.go (ValidateVolumeMounts, ValidateVolumeDevices)."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, not_found, not_supported, required
from kubelab.cluster.apiserver.validation.common import relative_path

Object = dict[str, Any]
Volumes = dict[str, Object]  # the pod's volumes that are valid, by name
PROPAGATION = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "IfPossible", "Enabled")


def mounts(container: Object, path: str, volumes: Volumes) -> list[FieldError]:
    problems: list[FieldError] = []
    seen: set[str] = set()
    devices = {device.get("name"): device.get("devicePath") for device in container.get("volumeDevices") or ()}
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        if name not in volumes:
            problems.append(not_found(f"{where}.name", name))
        if not target:
            problems.append(required(f"{where}.mountPath"))
        if target in seen:
            problems.append(invalid(f"{where}.mountPath", target, "must be unique"))
        seen.add(target)
        if name in devices:
            problems.append(invalid(f"{where}.name", name, "must not already exist in volumeDevices"))
        if target in devices.values():
            text = "must not already exist as a path in volumeDevices"
            problems.append(invalid(f"{where}.mountPath", target, text))
        problems += _sub_paths(mount, where, path, "image" in volumes.get(name, {}))
        problems += _propagation(mount, container, path)
    return problems


def _sub_paths(mount: Object, where: str, path: str, image: bool) -> list[FieldError]:
    """Upstream reports a bad subPath on the list of mounts, without the mount's index."""
    problems: list[FieldError] = []
    sub_path, expression = mount.get("subPath") or "", mount.get("subPathExpr") or ""
    for field, value in (("subPath", sub_path), ("subPathExpr", expression)):
        if image and value:
            problems.append(invalid(f"{where}.{field}", value, "not allowed in image volume sources"))
    if sub_path:
        problems += relative_path(sub_path, f"{path}.subPath")
    if expression:
        if sub_path:
            text = "subPathExpr and subPath are mutually exclusive"
            problems.append(invalid(f"{where}.subPathExpr", expression, text))
        problems += relative_path(expression, f"{path}.subPathExpr")
    return problems


def _propagation(mount: Object, container: Object, path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    propagation, recursive = mount.get("mountPropagation"), mount.get("recursiveReadOnly")
    where = f"{path}.mountPropagation"
    if propagation is not None:
        if propagation not in PROPAGATION:
            problems.append(not_supported(where, propagation, PROPAGATION))
        if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
            problems.append(
                forbidden(where, "Bidirectional mount propagation is available only to privileged containers")
            )
    where = f"{path}.recursiveReadOnly"
    if recursive is None:
        return problems
    if recursive not in RECURSIVE:
        return [*problems, not_supported(where, recursive, RECURSIVE)]
    if recursive != "Disabled" and not mount.get("readOnly"):
        problems.append(forbidden(where, "may only be specified when readOnly is true"))
    if recursive != "Disabled" and propagation not in (None, "None"):
        text = "may only be specified when mountPropagation is None or not specified"
        problems.append(forbidden(where, text))
    return problems


def devices(container: Object, path: str, volumes: Volumes) -> list[FieldError]:
    """Block devices, of claims only."""
    problems: list[FieldError] = []
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(container.get("volumeDevices") or ()):
        where, name, target = f"{path}[{index}]", device.get("name") or "", device.get("devicePath") or ""
        if not name:
            problems.append(required(f"{where}.name"))
        if name in seen_names:
            problems.append(invalid(f"{where}.name", name, "must be unique"))
        if name in volumes and not {"persistentVolumeClaim", "ephemeral"} & set(volumes[name]):
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            problems.append(invalid(f"{where}.name", name, text))
        if name not in volumes:
            problems.append(not_found(f"{where}.name", name))
        if not target:
            problems.append(required(f"{where}.devicePath"))
        if target in seen_paths:
            problems.append(invalid(f"{where}.devicePath", target, "must be unique"))
        if ".." in target.split("/"):
            problems.append(invalid(f"{where}.devicePath", target, "can not contain backsteps ('..')"))
        seen_names.add(name)
        seen_paths.add(target)
    return problems
