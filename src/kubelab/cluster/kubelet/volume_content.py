"""What is in a volume that the kubelet writes: ConfigMap, Secret, downward API, projected.

Upstream: pkg/volume/{configmap,secret,downwardapi,projected}. Each function gives file paths with their content.
"""

from __future__ import annotations

import base64
from typing import Any

from kubelab.cluster.client import APIError
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.atomic_writer import Payload
from kubelab.cluster.kubelet.fieldref import Runtime, field_value, resource_value
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.podutil import Pod

DEFAULT_MODE = 0o644
Files = dict[str, Payload]


class VolumeError(Exception):
    """A volume cannot be set up (yet); the message is upstream's."""


class VolumeContent:
    """Reads the sources of one pod's volumes."""

    def __init__(self, pod: Pod, objects: ObjectSource, runtime: Runtime) -> None:
        self._pod, self._objects, self._runtime = pod, objects, runtime

    async def files(self, kind: str, source: dict[str, Any]) -> Files:
        """`kind` is the volume's field: configMap, secret, downwardAPI or projected."""
        mode = source.get("defaultMode", DEFAULT_MODE)
        if kind == "projected":
            return await self._projected(source, mode)
        return await self._one(kind, source, source.get("secretName") or source.get("name", ""), mode)

    async def _one(self, kind: str, source: dict[str, Any], name: str, mode: int) -> Files:
        if kind == "downwardAPI":
            return self._downward(source, mode)
        data = await self._data(kind, name, bool(source.get("optional")))
        return _select(kind, name, data, source, mode)

    async def _data(self, kind: str, name: str, optional: bool) -> dict[str, bytes]:
        obj = await self._objects.get(kind.lower(), podutil.namespace(self._pod), name)
        if obj is None:
            if optional:
                return {}
            raise VolumeError(f'{kind.lower()} "{name}" not found')
        if kind == "secret":
            return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
        binary = {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
        return {**{key: value.encode() for key, value in (obj.get("data") or {}).items()}, **binary}

    def _downward(self, source: dict[str, Any], mode: int) -> Files:
        files: Files = {}
        for item in source.get("items") or []:
            try:
                value = self._downward_value(item)
            except ValueError as error:
                raise VolumeError(str(error)) from error
            files[item["path"]] = Payload(value.encode(), item.get("mode", mode))
        return files

    def _downward_value(self, item: dict[str, Any]) -> str:
        if reference := item.get("fieldRef"):
            return field_value(self._pod, reference["fieldPath"], self._runtime)
        reference = item["resourceFieldRef"]
        container = podutil.find_container(self._pod, reference.get("containerName", ""))
        if container is None:
            raise ValueError(f"container {reference.get('containerName', '')} not found")
        return resource_value(container, reference, self._runtime)

    async def _projected(self, source: dict[str, Any], mode: int) -> Files:
        files: Files = {}
        for projection in source.get("sources") or []:
            for kind, part in projection.items():
                if kind == "serviceAccountToken":
                    files[part["path"]] = Payload((await self._token(part)).encode(), mode)
                elif kind in ("configMap", "secret", "downwardAPI"):
                    files.update(await self._one(kind, part, part.get("name", ""), mode))
                else:
                    raise VolumeError(f"projection {kind} is not supported by this node")
        return files

    async def _token(self, source: dict[str, Any]) -> str:
        account = self._pod["spec"].get("serviceAccountName") or "default"
        try:
            return await self._objects.token(podutil.namespace(self._pod), account, source, self._pod)
        except APIError as error:
            raise VolumeError(f"failed to fetch token: {error}") from error


def _select(kind: str, name: str, data: dict[str, bytes], source: dict[str, Any], mode: int) -> Files:
    """All keys, or those that `items` names under the paths it gives them."""
    items = source.get("items")
    if not items:
        return {key: Payload(value, mode) for key, value in data.items()}
    files: Files = {}
    for item in items:
        if item["key"] in data:
            files[item["path"]] = Payload(data[item["key"]], item.get("mode", mode))
        elif not source.get("optional"):
            what = {"configMap": "config", "secret": "secret"}[kind]
            raise VolumeError(f"references non-existent {what} key: {item['key']}")
    return files
