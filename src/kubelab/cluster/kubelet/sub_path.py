"""The part of a volume that a mount shows: `subPath`, or `subPathExpr` with the container's environment filled in.

Upstream: makeMounts in pkg/kubelet/kubelet_pods.go, ExpandContainerVolumeMounts in pkg/kubelet/container/helpers.go,
pkg/volume/util/subpath. The runtime opens the path without following a link that leads out of the volume.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubelab.cluster.kubelet.expansion import expand
from kubelab.cluster.kubelet.reasons import StartError


def of_mount(mount: dict[str, Any], env: Mapping[str, str]) -> str:
    """The relative path, "" for the whole volume. StartError where it may not be one, or where a
    variable has no value (an empty one is none)."""
    path = mount.get("subPath") or ""
    if expression := mount.get("subPathExpr"):
        if missing := next((name for name in re.findall(r"(?<!\$)\$\(([^)]*)\)", expression) if not env.get(name)), ""):
            raise StartError("CreateContainerConfigError", f'missing value for "{missing}"')
        path = expand(expression, env)
    if path.startswith("/"):
        raise StartError("CreateContainerConfigError", f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise StartError("CreateContainerConfigError", f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


def prepare(volume: Path, path: str, container_name: str, mount: dict[str, Any], *, make: bool) -> Path:
    """The place itself, a folder made there where nothing is. StartError where a link leads out of the volume."""
    chosen = volume / path
    inside = chosen.resolve().is_relative_to(volume.resolve())
    if inside and make and not chosen.exists():
        chosen.mkdir(parents=True, mode=0o750)
        chosen.chmod(volume.stat().st_mode & 0o7777)  # SafeMakeDir takes the volume's own mode
    if not inside or not chosen.exists():
        message = f'failed to prepare subPath for volumeMount "{mount["name"]}" of container "{container_name}"'
        raise StartError("CreateContainerConfigError", message)
    return chosen.resolve()
