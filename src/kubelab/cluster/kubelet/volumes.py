"""A pod's volumes as folders on the node, and a container's mounts of them.

Upstream: pkg/kubelet/volumemanager and makeMounts in kubelet_pods.go. Folders are named as upstream's:
`pods/<uid>/volumes/kubernetes.io~configmap/<name>`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.atomic_writer import write_atomically
from kubelab.cluster.kubelet.expansion import expand
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.volume_content import VolumeContent, VolumeError
from kubelab.runtime.api import Mount

PLUGINS = {"emptyDir": "empty-dir", "configMap": "configmap", "secret": "secret"}
PLUGINS |= {"downwardAPI": "downward-api", "projected": "projected"}
READ_ONLY = ("configMap", "secret", "downwardAPI", "projected")


class Volumes:
    """The volumes of the pods of one node, under `folder`."""

    def __init__(self, folder: Path, objects: ObjectSource) -> None:
        self._folder, self._objects = folder, objects

    async def set_up(self, pod: Pod, runtime: Runtime) -> None:
        """Make every volume of the pod, or bring it up to date. VolumeError where one cannot be had."""
        content = VolumeContent(pod, self._objects, runtime)
        for volume in pod["spec"].get("volumes") or []:
            kind, source = _source(volume)
            path = self._path(pod, volume["name"], kind)
            try:
                if kind == "emptyDir":
                    _make_empty(path, source)
                else:
                    write_atomically(path, await content.files(kind, source))
            except VolumeError as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error

    def tear_down(self, pod_uid: str) -> None:
        shutil.rmtree(self._folder / pod_uid, ignore_errors=True)

    def mounts(self, pod: Pod, container: Container, env: dict[str, str]) -> list[Mount]:
        volumes = {v["name"]: v for v in pod["spec"].get("volumes") or []}
        made = []
        for mount in container.get("volumeMounts") or []:
            kind, _ = _source(volumes[mount["name"]])
            host = self._path(pod, mount["name"], kind)
            sub_path = mount.get("subPath") or expand(mount.get("subPathExpr", ""), env)
            if sub_path:
                host = _sub_path(host, sub_path, mount, make=kind == "emptyDir")
            readonly = bool(mount.get("readOnly")) or kind in READ_ONLY
            made.append(Mount(_container_path(mount["mountPath"]), str(host), readonly))
        return made

    def termination_log(self, pod: Pod, container: Container, attempt: int) -> Path:
        """The file that the container sees at its terminationMessagePath, made empty."""
        path = self._folder / podutil.uid(pod) / "containers" / container["name"] / str(attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)
        return path

    def _path(self, pod: Pod, name: str, kind: str) -> Path:
        return self._folder / podutil.uid(pod) / "volumes" / f"kubernetes.io~{PLUGINS[kind]}" / name


def _source(volume: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The volume's kind and source; a volume that names none is an emptyDir, as the API's default has it."""
    kind = next((key for key in volume if key != "name"), "emptyDir")
    if kind not in PLUGINS:
        raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : no volume plugin matched: {kind}')
    return kind, volume.get(kind) or {}


def _make_empty(path: Path, source: dict[str, Any]) -> None:
    medium = source.get("medium", "")
    if medium:
        raise VolumeError(f'unsupported storage medium: "{medium}": leave `medium` out, it is on the node\'s disk')
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o777)


def _sub_path(volume: Path, sub_path: str, mount: dict[str, Any], *, make: bool) -> Path:
    chosen = volume / sub_path
    if make and not chosen.exists():
        chosen.mkdir(parents=True)
    resolved = chosen.resolve()
    if not resolved.is_relative_to(volume.resolve()) or not resolved.exists():
        message = f'failed to prepare subPath for volumeMount "{mount["name"]}" of container: {sub_path}'
        raise StartError("CreateContainerConfigError", message)
    return resolved


def _container_path(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
