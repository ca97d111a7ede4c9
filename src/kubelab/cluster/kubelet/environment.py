"""A container's environment variables.

Upstream: makeEnvironmentVariables in pkg/kubelet/kubelet_pods.go. `envFrom` first, then `env` in order, each value
expanded by what is known by then; service variables are below both.
"""

from __future__ import annotations

import base64
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.expansion import expand
from kubelab.cluster.kubelet.fieldref import Runtime, field_value, resource_value
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError


class Environment:
    """Makes the variables of one container of one pod."""

    def __init__(self, pod: Pod, container: Container, objects: ObjectSource, runtime: Runtime) -> None:
        self._pod, self._container = pod, container
        self._objects, self._runtime = objects, runtime

    async def make(self, services: dict[str, str]) -> dict[str, str]:
        """`services`: see service_env.py. StartError CreateContainerConfigError where a reference leads nowhere."""
        try:
            return await self._make(services)
        except ValueError as error:
            raise StartError("CreateContainerConfigError", str(error)) from error

    async def _make(self, services: dict[str, str]) -> dict[str, str]:
        made: dict[str, str] = {}
        for source in self._container.get("envFrom") or []:
            made.update(await self._from_object(source))
        known = {**services, **made}
        for variable in self._container.get("env") or []:
            value = await self._value(variable, known)
            if value is not None:
                made[variable["name"]] = known[variable["name"]] = value
        return {**services, **made}

    async def _from_object(self, source: dict[str, Any]) -> dict[str, str]:
        prefix = source.get("prefix", "")
        if reference := source.get("configMapRef"):
            data = await self._read("configmap", reference)
        else:
            data = await self._read("secret", source["secretRef"])
        return {prefix + key: value for key, value in (data or {}).items()}

    async def _value(self, variable: dict[str, Any], known: dict[str, str]) -> str | None:
        """None where the value is optional and absent."""
        if "value" in variable:
            return expand(variable["value"], known)
        source = variable.get("valueFrom") or {}
        if reference := source.get("fieldRef"):
            return field_value(self._pod, reference["fieldPath"], self._runtime)
        if reference := source.get("resourceFieldRef"):
            return self._resource(reference)
        if reference := source.get("configMapKeyRef"):
            return await self._key("configmap", reference)
        if reference := source.get("secretKeyRef"):
            return await self._key("secret", reference)
        return ""

    def _resource(self, reference: dict[str, Any]) -> str:
        container = self._container
        if chosen := reference.get("containerName"):
            found = podutil.find_container(self._pod, chosen)
            if found is None:
                raise ValueError(f"container {chosen} not found")
            container = found
        return resource_value(container, reference, self._runtime)

    async def _key(self, kind: str, reference: dict[str, Any]) -> str | None:
        data = await self._read(kind, reference)
        if data is not None and reference["key"] in data:
            return data[reference["key"]]
        if reference.get("optional"):
            return None
        title = {"configmap": "ConfigMap", "secret": "Secret"}[kind]
        where = f"{podutil.namespace(self._pod)}/{reference['name']}"
        raise ValueError(f"couldn't find key {reference['key']} in {title} {where}")

    async def _read(self, kind: str, reference: dict[str, Any]) -> dict[str, str] | None:
        """The object's data as text; None where it is absent and optional."""
        obj = await self._objects.get(kind, podutil.namespace(self._pod), reference["name"])
        if obj is None:
            if reference.get("optional"):
                return None
            raise ValueError(f'{kind} "{reference["name"]}" not found')
        data = obj.get("data") or {}
        if kind == "secret":
            return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}
        return data
