"""A pod's volumes as folders on the node, and a container's mounts of them.

Upstream: pkg/kubelet/volumemanager and makeMounts in kubelet_pods.go. Folders are named as upstream's:
`pods/<uid>/volumes/kubernetes.io~configmap/<name>`.
"""

from __future__ import annotations

import contextlib
import math
import shutil
from pathlib import Path
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import host_path, ownership, podutil, sub_path
from kubelab.cluster.kubelet.atomic_writer import write_atomically
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.volume_content import VolumeContent, VolumeError
from kubelab.runtime.api import Mount

PLUGINS = {"emptyDir": "empty-dir", "configMap": "configmap", "secret": "secret", "hostPath": "host-path"}
PLUGINS |= {"downwardAPI": "downward-api", "projected": "projected"}
READ_ONLY = ("configMap", "secret", "downwardAPI", "projected")
EMPTY_DIR_MODE = 0o777


class Volumes:
    """The volumes of the pods of one node, under `folder`; `disk` is what the node's hostPath volumes are part of."""

    def __init__(self, folder: Path, objects: ObjectSource, disk: Path) -> None:
        self._folder, self._objects, self._disk = folder, objects, disk

    async def set_up(self, pod: Pod, runtime: Runtime) -> None:
        """Make every volume of the pod, or bring it up to date. VolumeError where one cannot be had."""
        content = VolumeContent(pod, self._objects, runtime)
        for volume in pod["spec"].get("volumes") or []:
            kind, source = _source(volume)
            try:
                await self._set_up_one(pod, volume["name"], kind, source, content)
            except VolumeError as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error

    async def _set_up_one(self, pod: Pod, name: str, kind: str, source: dict[str, Any], content: VolumeContent) -> None:
        path = self._path(pod, name, kind)
        if kind == "hostPath":
            host_path.find(self._disk, source)
        elif kind == "emptyDir":
            if not path.exists():  # what is there has its owner already
                path.mkdir(parents=True)
                path.chmod(EMPTY_DIR_MODE)
                ownership.give_to_group(pod, path, readonly=False)
        elif write_atomically(path, await content.files(kind, source)):
            ownership.give_to_group(pod, path, readonly=True)
            _give_tokens_to_user(pod, path, source)

    def memory(self, pod: Pod) -> dict[str, int]:
        """The folders of its emptyDir volumes with medium Memory, each with its size in bytes (0: the kernel's own)."""
        found = {}
        for volume in pod["spec"].get("volumes") or []:
            kind, source = _source(volume)
            if kind == "emptyDir" and source.get("medium") == "Memory":
                size = math.ceil(quantity.parse(source.get("sizeLimit") or "0"))
                found[str(self._path(pod, volume["name"], kind))] = size
        return found

    def tear_down(self, pod_uid: str) -> None:
        shutil.rmtree(self._folder / pod_uid, ignore_errors=True)

    def mounts(self, pod: Pod, container: Container, env: dict[str, str]) -> list[Mount]:
        """VolumeError, StartError where one cannot be made."""
        volumes = {v["name"]: v for v in pod["spec"].get("volumes") or []}
        return [self._mount(pod, container, mount, volumes, env) for mount in container.get("volumeMounts") or []]

    def _mount(
        self,
        pod: Pod,
        container: Container,
        mount: dict[str, Any],
        volumes: dict[str, dict[str, Any]],
        env: dict[str, str],
    ) -> Mount:
        kind, source = _source(volumes[mount["name"]])
        host = self._path(pod, mount["name"], kind)
        if kind == "hostPath":
            host = host_path.find(self._disk, source)
        part, target = sub_path.of_mount(mount, env), _container_path(mount["mountPath"])
        readonly = bool(mount.get("readOnly")) or kind in READ_ONLY
        if source.get("medium") == "Memory":  # only the pod's sandbox sees into it
            return Mount(target, str(host), readonly, sub_path=part)
        if part:
            make = kind not in READ_ONLY
            host = sub_path.prepare(host, part, container["name"], mount, make=make)
        return Mount(target, str(host), readonly)

    def termination_log(self, pod: Pod, container: Container, attempt: int) -> Path:
        """The file that the container sees at its terminationMessagePath, made empty."""
        path = self._folder / podutil.uid(pod) / "containers" / container["name"] / str(attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)
        return path

    def empty_dir(self, pod: Pod, name: str) -> Path:
        """The folder of an emptyDir volume."""
        return self._path(pod, name, "emptyDir")

    def _path(self, pod: Pod, name: str, kind: str) -> Path:
        return self._folder / podutil.uid(pod) / "volumes" / f"kubernetes.io~{PLUGINS[kind]}" / name


def _source(volume: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The volume's kind and source; a volume that names none is an emptyDir, as the API's default has it."""
    kind = next((key for key in volume if key != "name"), "emptyDir")
    if kind not in PLUGINS:
        raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : no volume plugin matched: {kind}')
    source = volume.get(kind) or {}
    if kind == "emptyDir" and source.get("medium") not in (None, "", "Memory"):
        raise VolumeError(
            f'MountVolume.SetUp failed for volume "{volume["name"]}" : unknown storage medium "{source["medium"]}"'
        )
    return kind, source


def _give_tokens_to_user(pod: Pod, path: Path, source: dict[str, Any]) -> None:
    """A service account's token is for the one user of the pod, or for its fsGroup, and nobody else."""
    user, group = ownership.fs_user(pod), ownership.fs_group(pod)
    for projection in source.get("sources") or []:
        token = projection.get("serviceAccountToken")
        if token and (user is not None or group is not None):
            file = (path / token["path"]).resolve()
            with contextlib.suppress(OSError):
                file.chmod(0o640 if group is not None else 0o600)
            if user is not None:
                ownership.give_to_user(file, user)


def _container_path(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
