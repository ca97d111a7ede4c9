"""The kubelet: takes the pods that are bound to its node from the API and keeps them running.

Upstream: pkg/kubelet/kubelet.go. This file puts the parts together and moves word between them: pods come from a watch,
exits from the runtime's events, verdicts from the probes; each wakes the worker of one pod.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from shutil import rmtree
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.informer import Informer
from kubelab.cluster.kubelet import lookup, podutil
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.kubelet.container_killer import ContainerKiller
from kubelab.cluster.kubelet.container_starter import ContainerStarter
from kubelab.cluster.kubelet.eviction import EvictionManager
from kubelab.cluster.kubelet.image_puller import ImagePuller
from kubelab.cluster.kubelet.images import ImageManager, Puller
from kubelab.cluster.kubelet.lifecycle import HookRunner
from kubelab.cluster.kubelet.log_rotation import LogRotation
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.node_lease import NodeLease
from kubelab.cluster.kubelet.node_status import NodeStatus
from kubelab.cluster.kubelet.objects import APIObjects, ObjectSource
from kubelab.cluster.kubelet.pod_lifecycle import PodLifecycle
from kubelab.cluster.kubelet.pod_sync import PodSyncer
from kubelab.cluster.kubelet.pod_workers import PodWorkers
from kubelab.cluster.kubelet.prober.manager import ProbeManager
from kubelab.cluster.kubelet.prober.prober import Prober
from kubelab.cluster.kubelet.reasons import ReasonCache
from kubelab.cluster.kubelet.runtime_pods import RuntimePods
from kubelab.cluster.kubelet.status_manager import StatusManager
from kubelab.cluster.kubelet.volumes import Volumes
from kubelab.cluster.resources import PODS
from kubelab.images.store import ImageStore
from kubelab.runtime.api import ContainerStatus, PodSandboxStatus, RuntimeServiceError
from kubelab.runtime.client import RuntimeClient

log = logging.getLogger(__name__)

RUNTIME_RETRY_SECONDS = 0.5


class Kubelet:
    """One node's agent. `folder` is its own (`$KUBELAB_HOME/nodes/<name>`); `services` the watch that it shares with
    the service proxy. `await start()` returns when the node is registered and its pods are known."""

    def __init__(
        self,
        config: KubeletConfiguration,
        client: APIClient,
        runtime: RuntimeClient,
        images: ImageStore,
        services: Informer,
        folder: Path,
        clock: Clock,
        puller: Puller | None = None,
    ) -> None:
        self.config, self.runtime, self.clock = config, runtime, clock
        self.recorder = EventRecorder(client, "kubelet", config.nodeName, clock=clock)
        node = self._node = Node(config, runtime, self.recorder, folder, clock)
        node.pods_folder.mkdir(parents=True, exist_ok=True)
        self.node_status = NodeStatus(node, client, images)
        self._lease = NodeLease(client, node.name, config.nodeLeaseDurationSeconds, clock)
        self.pods = Informer(client, PODS, field_selector=f"spec.nodeName={node.name}", clock=clock)
        self._services, self._puller = services, puller
        self._statuses, self._runtime_pods = StatusManager(client, clock), RuntimePods(runtime, node.name)
        self._probes = ProbeManager(Prober(node), self._statuses, clock, self._wake)
        self._lifecycle = self._make_lifecycle(APIObjects(client, clock), images)
        self._workers = PodWorkers(self._lifecycle, clock, config.syncFrequency)
        self._evictions = EvictionManager(node, self._lifecycle.volumes, self._workers.pods, self._evict)
        self._tasks: list[asyncio.Task[None]] = []
        self.on_new_machine: list[Callable[[], None]] = []  # what was open in the old machine is gone
        self.died: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # a part of the agent failed

    def _make_lifecycle(self, objects: ObjectSource, images: ImageStore) -> PodLifecycle:
        node, hooks, reasons = self._node, HookRunner(self._node), ReasonCache()
        killer, volumes = ContainerKiller(node, hooks), Volumes(node.pods_folder, objects, node.disk)
        manager = ImageManager(images, self._puller or ImagePuller(images), objects, node.clock)
        starter = ContainerStarter(node, manager, volumes, objects, self._services.list, hooks, killer)
        syncer = PodSyncer(node, self._runtime_pods, starter, killer, volumes, reasons)
        allocatable = self.node_status.allocatable
        return PodLifecycle(
            node, self._runtime_pods, syncer, self._statuses, self._probes, volumes, reasons, allocatable, self._look
        )

    async def start(self, endpoint: tuple[str, int]) -> None:
        """`endpoint` is where the kubelet's own server listens on the host."""
        self.node_status.endpoint = endpoint
        await self.runtime.ensure_machine(self._node.machine)
        await self.node_status.register()
        self._spawn(self._lease.run(self.node_status.node), "lease")
        self._spawn(self.node_status.run(), "node status")
        known = await self._runtime_pods.relist()
        self._spawn(self._follow_runtime(), "runtime events")
        self._spawn(self._evictions.run(), "evictions")
        self._spawn(LogRotation(self._node).run(), "log rotation")
        await self._services.synced()
        self.pods.add_handler(self._workers.update, lambda old, new: self._changed(old, new), self._workers.remove)
        await self.pods.start()
        await self.pods.synced()
        await self._remove_orphans(known)

    async def stop(self) -> None:
        """End the agent. Its pods run on, and the next agent of this node takes them over."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pods.stop()
        await self._workers.stop()
        self._probes.stop()
        await self._statuses.stop()
        await self.recorder.stop()

    def _spawn(self, job: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(job, name=name)
        task.add_done_callback(self._job_ended)
        self._tasks.append(task)

    def _job_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and not self.died.done():
            self.died.set_exception(task.exception() or RuntimeError(f"{task.get_name()} has ended"))

    # -- word that comes in

    def _changed(self, old: podutil.Pod, new: podutil.Pod) -> None:
        if podutil.uid(old) != podutil.uid(new):
            self._workers.remove(old)  # deleted and made anew while no watch ran
        self._workers.update(new)

    async def _look(self, anew: bool) -> dict[str, Any]:
        return await self.node_status.read() if anew else self.node_status.node

    def _wake(self, pod_uid: str) -> None:
        self._workers.wake(pod_uid)

    def _evict(self, pod_uid: str, message: str) -> None:
        self._lifecycle.evict(pod_uid, message)
        self._wake(pod_uid)

    async def _follow_runtime(self) -> None:
        """Wake a pod's worker when one of its containers starts or ends."""
        while True:
            try:
                async for event in self.runtime.events():
                    owner = self._runtime_pods.owner(event.sandbox_id)
                    if owner is not None:
                        self._wake(owner)
            except RuntimeServiceError as error:
                await self._runtime_lost(error)

    async def _runtime_lost(self, error: RuntimeServiceError) -> None:
        """Tell that no pod can run, until the runtime answers again and has this machine."""
        log.error("%s", error)
        self.node_status.runtime_error = str(error)
        self.node_status.report_soon()
        while self.node_status.runtime_error:
            await self.clock.sleep(RUNTIME_RETRY_SECONDS)
            try:
                await self.runtime.ensure_machine(self._node.machine)
                await self._runtime_pods.relist()
                self.node_status.runtime_error = ""
                for tell in self.on_new_machine:
                    tell()
            except RuntimeServiceError as again:
                log.info("%s", again)
        self.node_status.report_soon()
        self._workers.wake_all()

    async def _remove_orphans(self, known: set[str]) -> None:
        """Sandboxes and folders whose pods went while no kubelet looked."""
        wanted = {podutil.uid(pod) for pod in self.pods.list()}
        for folder in self._node.pods_folder.iterdir():
            if folder.name.rpartition("_")[2] not in wanted:
                rmtree(folder, ignore_errors=True)
        for pod_uid in known - wanted:
            log.info("removing the sandboxes of pod %s, which is gone", pod_uid)
            await self._runtime_pods.remove(pod_uid)

    # -- what the kubelet's server asks (logs, exec, port-forward)

    def pod(self, namespace: str, name: str, uid: str = "") -> podutil.Pod:
        """The pod, as the API last had it. KeyError where it is not on this node."""
        pod = self.pods.get(namespace, name)
        if pod is None or uid not in ("", podutil.uid(pod)):
            raise KeyError(f'pod "{name}" cannot be found on node {self.config.nodeName}')
        return pod

    async def sandbox(self, namespace: str, name: str, uid: str = "") -> PodSandboxStatus:
        pod = self.pod(namespace, name, uid)
        observed = await self._runtime_pods.get(podutil.uid(pod))
        if observed.ready_sandbox is None:
            raise KeyError(f'pod "{name}" has no running sandbox')
        return observed.ready_sandbox

    async def pod_ips(self, namespace: str, name: str, uid: str = "") -> list[str]:
        return [(await self.sandbox(namespace, name, uid)).ip]

    async def container(
        self, namespace: str, name: str, container: str, uid: str = "", *, previous: bool = False
    ) -> ContainerStatus:
        """The container that is asked for: the running one, else the last that ended; `previous`: the one before."""
        pod = self.pod(namespace, name, uid)
        status = self._statuses.get(podutil.uid(pod)) or pod.get("status", {})
        wanted = lookup.container_id(status, name, container, previous=previous)
        try:
            return await self.runtime.container_status(wanted)
        except RuntimeServiceError as error:
            raise KeyError(f'container "{container}" in pod "{name}" is gone from the node: {error}') from error
