"""Asking a container how it is: by HTTP, by TCP, by gRPC, by a command in it.

Upstream: pkg/kubelet/prober/prober.go and pkg/probe/{http,tcp,grpc,exec}. Probes go out from the node, through a
socket made inside it; a command runs in the container.
"""

from __future__ import annotations

import asyncio
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.http_get import BODY_LIMIT, HTTPError, Streams, describe_os_error, http_get
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.prober.results import Result
from kubelab.cluster.kubelet.runtime_status import SCHEME
from kubelab.runtime.api import RuntimeServiceError

MAX_RETRIES = 3
TITLES = {"liveness": "Liveness", "readiness": "Readiness", "startup": "Startup"}
Outcome = tuple[Result, str, bool]  # verdict, what was seen, whether it passed with a warning


class ProbeError(Exception):
    """The probe could not be carried out."""


class Prober:
    def __init__(self, node: Node) -> None:
        self._node, self._runtime, self._recorder = node, node.runtime, node.recorder

    async def probe(
        self, kind: str, pod: Pod, status: dict[str, Any], container: Container, container_id: str
    ) -> Result | None:
        """The verdict, with the event that belongs to it; None where the probe could not be carried out."""
        title = TITLES[kind]
        try:
            result, output, warning = await self._retry(container[f"{kind}Probe"], status, container, container_id)
        except ProbeError as error:
            self._tell(pod, container, "Unhealthy", f"{title} probe errored: {error}")
            return None
        if result == Result.FAILURE:
            self._tell(pod, container, "Unhealthy", f"{title} probe failed: {output}")
        elif warning:
            self._tell(pod, container, "ProbeWarning", f"{title} probe warning: {output}")
        return result

    async def _retry(self, probe: dict[str, Any], status: dict[str, Any], container: Container, cid: str) -> Outcome:
        for attempt in range(MAX_RETRIES):
            try:
                return await self._once(probe, status, container, cid)
            except ProbeError:
                if attempt == MAX_RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    async def _once(self, probe: dict[str, Any], status: dict[str, Any], container: Container, cid: str) -> Outcome:
        seconds = float(probe.get("timeoutSeconds") or 1)
        try:
            if action := probe.get("exec"):
                return await self._exec(action.get("command") or [], cid.removeprefix(SCHEME), seconds)
            if action := probe.get("httpGet"):
                return await self._http(action, status, container, seconds)
            if action := probe.get("tcpSocket"):
                host = action.get("host") or status.get("podIP", "")
                return await self._tcp(host, podutil.find_port(container, action["port"]), seconds)
            if action := probe.get("grpc"):
                return await self._grpc(action, status.get("podIP", ""), seconds)
        except ValueError as error:
            raise ProbeError(str(error)) from error
        raise ProbeError(f"missing probe handler for {container['name']}")

    async def _exec(self, command: list[str], container_id: str, seconds: float) -> Outcome:
        try:
            result = await self._runtime.exec_sync(container_id, command, seconds)
        except RuntimeServiceError as error:
            if error.code == "DeadlineExceeded":
                quoted = " ".join(command)
                return Result.FAILURE, f'command timed out: "{quoted}" timed out after {seconds:g}s', False
            raise ProbeError(str(error)) from error
        output = (result.stdout + result.stderr)[:BODY_LIMIT].decode(errors="replace")
        return (Result.FAILURE if result.exit_code else Result.SUCCESS), output, False

    async def _http(
        self, action: dict[str, Any], status: dict[str, Any], container: Container, seconds: float
    ) -> Outcome:
        port = podutil.find_port(container, action["port"])
        host = action.get("host") or status.get("podIP", "")
        url = f"{action.get('scheme', 'HTTP').lower()}://{host}:{port}/{action.get('path', '').lstrip('/')}"
        headers = {h["name"]: h["value"] for h in action.get("httpHeaders") or []}
        try:
            response = await http_get(self._dial, url, headers, seconds)
        except HTTPError as error:
            return Result.FAILURE, str(error), False
        if response.left_host:
            body = response.body.decode(errors="replace")
            return Result.SUCCESS, f"Probe terminated redirects, Response body: {body}", True
        if 200 <= response.status < 400:
            return Result.SUCCESS, "", False
        return Result.FAILURE, f"HTTP probe failed with statuscode: {response.status}", False

    async def _tcp(self, host: str, port: int, seconds: float) -> Outcome:
        try:
            async with asyncio.timeout(seconds):
                _, writer = await self._dial(host, port, seconds)
        except TimeoutError:
            return Result.FAILURE, f"dial tcp {host}:{port}: i/o timeout", False
        except OSError as error:
            return Result.FAILURE, describe_os_error(error, f"{host}:{port}"), False
        writer.close()
        return Result.SUCCESS, "", False

    async def _grpc(self, action: dict[str, Any], host: str, seconds: float) -> Outcome:
        from kubelab.cluster.kubelet.prober.grpc import check  # loads HTTP/2, which most nodes never need

        healthy, said = await check(self._dial, host, action["port"], action.get("service") or "", seconds)
        return (Result.SUCCESS if healthy else Result.FAILURE), said, False

    async def _dial(self, host: str, port: int, seconds: float) -> Streams:
        """From inside the node, as the kubelet's own connections are upstream."""
        try:
            return await self._runtime.dial(self._node.name, host, port, seconds)
        except RuntimeServiceError as error:
            raise ProbeError(str(error)) from error

    def _tell(self, pod: Pod, container: Container, reason: str, message: str) -> None:
        path = podutil.field_path(pod, container)
        self._recorder.event(pod, "Warning", reason, message, field_path=path)
