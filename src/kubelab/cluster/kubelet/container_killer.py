"""Stopping containers: the preStop hook, SIGTERM, the grace period, SIGKILL.

Upstream: killContainer and killContainersWithSyncResult in pkg/kubelet/kuberuntime/kuberuntime_container.go, and
kuberuntime_termination_order.go: sidecars end after the pod's own containers, the last one first. Their preStop hooks
run with everybody's, at once; it is SIGTERM that waits its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.lifecycle import HookError, HookRunner
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.runtime.api import ContainerStatus, RuntimeServiceError

log = logging.getLogger(__name__)

MINIMUM_GRACE_SECONDS = 2.0  # what SIGTERM gets at least after a preStop hook


class ContainerKiller:
    def __init__(self, node: Node, hooks: HookRunner) -> None:
        self._runtime, self._recorder, self._clock = node.runtime, node.recorder, node.clock
        self._hooks = hooks

    async def kill(
        self,
        pod: Pod,
        container: Container,
        container_id: str,
        message: str,
        grace: float,
        pod_ip: str,
        before: Sequence[asyncio.Event] = (),
    ) -> None:
        """Returns when the container has stopped, after at most `grace` seconds and a little. `before`: what has to be
        over before its turn, as far as the grace period goes."""
        path = podutil.field_path(pod, container)
        self._recorder.event(
            pod, "Normal", "Killing", message or f"Stopping container {container['name']}", field_path=path
        )
        began = self._clock.monotonic()
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook:
            await self._pre_stop(pod, container, container_id, grace, pod_ip)
        if before:
            await self._wait_for_turn(before, grace - (self._clock.monotonic() - began))
        if hook or before:
            grace = max(grace - (self._clock.monotonic() - began), MINIMUM_GRACE_SECONDS)
        try:
            await self._runtime.stop_container(container_id, grace)
        except RuntimeServiceError as error:
            if error.code != "NotFound":
                raise

    async def kill_all(self, pod: Pod, running: Sequence[ContainerStatus], grace: float, pod_ip: str) -> None:
        """Stop all of a pod's containers, each in its turn."""
        ended = {status.config.name: asyncio.Event() for status in running}

        async def stop(status: ContainerStatus) -> None:
            name = status.config.name
            spec = podutil.find_container(pod, name) or {"name": name}
            before = [ended[each] for each in _started_after(pod, spec) if each in ended]
            try:
                await self.kill(pod, spec, status.id, "", grace, pod_ip, before)
            finally:
                ended[name].set()

        await asyncio.gather(*map(stop, running))

    async def _wait_for_turn(self, before: Sequence[asyncio.Event], seconds: float) -> None:
        waiting = asyncio.gather(*(event.wait() for event in before))
        timer = asyncio.ensure_future(self._clock.sleep(max(seconds, 0.0)))
        try:
            await asyncio.wait({waiting, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            timer.cancel()
            await asyncio.gather(waiting, timer, return_exceptions=True)

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
            # The event does not say why, as upstream's: a hook's output may hold secrets.
            log.warning("preStop hook of %s in pod %s: %s", container["name"], podutil.describe(pod), error)
            path = podutil.field_path(pod, container)
            self._recorder.event(pod, "Warning", "FailedPreStopHook", "PreStopHook failed", field_path=path)
        finally:
            hook.cancel()
            timer.cancel()


def _started_after(pod: Pod, container: Container) -> list[str]:
    """The containers that a sidecar waits for: the pod's own, and the sidecars after it; nothing for the others."""
    sidecars = [c["name"] for c in podutil.init_containers(pod) if podutil.is_sidecar(c)]
    if container["name"] not in sidecars:
        return []
    later = sidecars[sidecars.index(container["name"]) + 1 :]
    return [*later, *(c["name"] for c in podutil.containers(pod))]
