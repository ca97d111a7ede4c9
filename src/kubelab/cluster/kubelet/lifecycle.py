"""Lifecycle hooks: what a container is asked to do after its start and before its end.

Upstream: pkg/kubelet/lifecycle/handlers.go. A hook is exec, httpGet or sleep.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.http_get import HTTPError, http_get
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container
from kubelab.runtime.api import RuntimeServiceError

NO_TIMEOUT = 0.0  # the grace period ends a preStop hook, nothing a postStart hook
HTTP_TIMEOUT = 60.0


class HookError(Exception):
    """The hook failed; the message is what the event says."""


class HookRunner:
    """Runs hooks of containers on one node."""

    def __init__(self, node: Node) -> None:
        self._node, self._runtime = node, node.runtime

    async def run(self, hook: dict[str, Any], container: Container, container_id: str, pod_ip: str) -> None:
        """Returns when the hook is done. HookError where it failed or its kind is unknown."""
        if action := hook.get("exec"):
            await self._exec(action["command"], container, container_id)
        elif action := hook.get("httpGet"):
            await self._http(action, container, pod_ip)
        elif action := hook.get("sleep"):
            await self._node.clock.sleep(action["seconds"])
        else:
            raise HookError(f"invalid handler: {', '.join(hook) or 'empty'}")

    async def _exec(self, command: list[str], container: Container, container_id: str) -> None:
        try:
            result = await self._runtime.exec_sync(container_id, command, NO_TIMEOUT)
        except RuntimeServiceError as error:
            raise HookError(str(error)) from error
        if result.exit_code:
            output = (result.stdout + result.stderr).decode(errors="replace").strip()
            raise HookError(
                f'Exec lifecycle hook ([{" ".join(command)}]) for Container "{container["name"]}" failed - '
                f"error: command '{' '.join(command)}' exited with {result.exit_code}: , message: \"{output}\""
            )

    async def _http(self, action: dict[str, Any], container: Container, pod_ip: str) -> None:
        try:
            port = podutil.find_port(container, action["port"])
            scheme, host = action.get("scheme", "HTTP").lower(), action.get("host") or pod_ip
            url = f"{scheme}://{host}:{port}/{action.get('path', '').lstrip('/')}"
            headers = {h["name"]: h["value"] for h in action.get("httpHeaders") or []}
            response = await http_get(self._dial, url, headers, HTTP_TIMEOUT)
        except (HTTPError, ValueError) as error:
            raise HookError(
                f'HTTP lifecycle hook for Container "{container["name"]}" failed - error: {error}'
            ) from error
        if response.status >= 400:
            raise HookError(
                f'HTTP lifecycle hook for Container "{container["name"]}" failed - status {response.status}'
            )

    async def _dial(self, host: str, port: int, seconds: float) -> Any:
        return await self._runtime.dial(self._node.name, host, port, seconds)
