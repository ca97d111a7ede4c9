"""Stopping containers: the preStop hook, SIGTERM, the grace period, SIGKILL.

Upstream: killContainer and killContainersWithSyncResult in pkg/kubelet/kuberuntime/kuberuntime_container.go. Sidecars
end after the pod's own containers, the last one first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.lifecycle import HookError, HookRunner
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.runtime.api import ContainerStatus, RuntimeServiceError

MINIMUM_GRACE_SECONDS = 2.0  # what SIGTERM gets at least after a preStop hook


class ContainerKiller:
    def __init__(self, node: Node, hooks: HookRunner) -> None:
        self._runtime, self._recorder, self._clock = node.runtime, node.recorder, node.clock
        self._hooks = hooks

    async def kill(
        self, pod: Pod, container: Container, container_id: str, message: str, grace: float, pod_ip: str
    ) -> None:
        """Returns when the container has stopped, after at most `grace` seconds and a little."""
        path = podutil.field_path(pod, container)
        self._recorder.event(
            pod, "Normal", "Killing", message or f"Stopping container {container['name']}", field_path=path
        )
        began = self._clock.monotonic()
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook:
            await self._pre_stop(pod, container, container_id, grace, pod_ip)
            grace = max(grace - (self._clock.monotonic() - began), MINIMUM_GRACE_SECONDS)
        try:
            await self._runtime.stop_container(container_id, grace)
        except RuntimeServiceError as error:
            if error.code != "NotFound":
                raise

    async def kill_all(self, pod: Pod, running: Sequence[ContainerStatus], grace: float, pod_ip: str) -> None:
        """Stop all of a pod's containers at once, then its sidecars one after another."""
        own, sidecars = [], []
        for status in running:
            spec = podutil.find_container(pod, status.config.name) or {"name": status.config.name}
            (sidecars if podutil.is_sidecar(spec) else own).append((spec, status))
        began = self._clock.monotonic()
        await asyncio.gather(*(self.kill(pod, spec, status.id, "", grace, pod_ip) for spec, status in own))
        order = [c["name"] for c in podutil.init_containers(pod)]
        for spec, status in sorted(sidecars, key=lambda pair: order.index(pair[0]["name"]), reverse=True):
            left = max(grace - (self._clock.monotonic() - began), MINIMUM_GRACE_SECONDS)
            await self.kill(pod, spec, status.id, "", left, pod_ip)

    async def _pre_stop(self, pod: Pod, container: Container, container_id: str, grace: float, pod_ip: str) -> None:
        hook = asyncio.ensure_future(
            self._hooks.run(container["lifecycle"]["preStop"], container, container_id, pod_ip)
        )
        timer = asyncio.ensure_future(self._clock.sleep(grace))
        try:
            await asyncio.wait({hook, timer}, return_when=asyncio.FIRST_COMPLETED)
            if hook.done():
                hook.result()
        except HookError as error:
            path = podutil.field_path(pod, container)
            self._recorder.event(pod, "Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", field_path=path)
        finally:
            hook.cancel()
            timer.cancel()
