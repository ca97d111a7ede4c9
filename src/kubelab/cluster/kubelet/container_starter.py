"""Starting one container: its image, its configuration, then create, start and the postStart hook.

Upstream: startContainer in pkg/kubelet/kuberuntime/kuberuntime_container.go, whose steps and events these are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.container_config import DEFAULT_TERMINATION_PATH, container_config, log_path, next_attempt
from kubelab.cluster.kubelet.container_killer import ContainerKiller
from kubelab.cluster.kubelet.dns import hosts_file, pod_names
from kubelab.cluster.kubelet.environment import Environment
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.images import ImageManager, Tell
from kubelab.cluster.kubelet.lifecycle import HookError, HookRunner
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.objects import ObjectSource
from kubelab.cluster.kubelet.oom_score import oom_score_adj
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.service_env import service_environment
from kubelab.cluster.kubelet.volume_content import VolumeError
from kubelab.cluster.kubelet.volumes import Volumes
from kubelab.images.store import Image
from kubelab.runtime.api import ContainerConfig, ContainerStatus, Mount, PodSandboxStatus, RuntimeServiceError

log = logging.getLogger(__name__)

Services = Callable[[], Iterable[dict[str, Any]]]
HOSTS_PATH = "/etc/hosts"


class ContainerStarter:
    """Starts containers of pods whose sandbox is ready and whose volumes are set up."""

    def __init__(
        self,
        node: Node,
        images: ImageManager,
        volumes: Volumes,
        objects: ObjectSource,
        services: Services,
        hooks: HookRunner,
        killer: ContainerKiller,
    ) -> None:
        self._runtime, self._recorder, self._log_folder = node.runtime, node.recorder, node.pods_folder
        self._cluster_domain = node.config.clusterDomain
        self._images, self._volumes, self._objects, self._services = images, volumes, objects, services
        self._hooks, self._killer = hooks, killer
        self._post_starts: dict[str, set[asyncio.Future[None]]] = {}  # pod UID -> hooks that run

    async def start(
        self,
        pod: Pod,
        container: Container,
        sandbox: PodSandboxStatus,
        latest: ContainerStatus | None,
        facts: Runtime,
        target: str = "",
    ) -> None:
        """`latest` is the attempt before, where the runtime knows one; `target` the container whose processes an
        ephemeral container is to see.

        StartError with the reason to wait for where it could not be started; the event is told by then.
        """
        tell = self._teller(pod, container)
        container_id = await self._prepare(pod, container, sandbox, latest, facts, tell, target)
        tell("Normal", "Created", f"Created container: {container['name']}")
        try:
            await self._runtime.start_container(container_id)
        except RuntimeServiceError as error:
            tell("Warning", "Failed", f"Error: {error}")
            raise StartError("RunContainerError", str(error)) from error
        tell("Normal", "Started", f"Started container {container['name']}")
        await self._post_start(pod, container, container_id, sandbox.ip, tell)

    async def _prepare(
        self,
        pod: Pod,
        container: Container,
        sandbox: PodSandboxStatus,
        latest: ContainerStatus | None,
        facts: Runtime,
        tell: Tell,
        target: str,
    ) -> str:
        """Image, configuration, create: the container's ID."""
        try:
            image = await self._images.ensure(pod, container, tell)
        except StartError as error:
            tell("Warning", "Failed", f"Error: {error.reason}")
            raise
        try:
            attempt = next_attempt(self._log_folder, pod, container["name"], latest)
            config = await self._configure(pod, container, image, attempt, facts)
            return await self._create(sandbox.id, replace(config, target_id=target))
        except StartError as error:
            tell("Warning", "Failed", f"Error: {error.message}")
            raise

    async def _create(self, sandbox_id: str, config: ContainerConfig) -> str:
        try:
            return await self._runtime.create_container(sandbox_id, config)
        except RuntimeServiceError as error:
            raise StartError("CreateContainerError", str(error)) from error

    async def _configure(
        self, pod: Pod, container: Container, image: Image, attempt: int, facts: Runtime
    ) -> ContainerConfig:
        links = pod["spec"].get("enableServiceLinks", True)
        services = service_environment(self._services(), podutil.namespace(pod), links)
        env = await Environment(pod, container, self._objects, facts).make(services)
        try:
            mounts = self._volumes.mounts(pod, container, env)
        except VolumeError as error:
            raise StartError("CreateContainerConfigError", str(error)) from error
        message_log = self._volumes.termination_log(pod, container, attempt)
        path = container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH
        mounts.append(Mount(path, str(message_log)))
        self._add_hosts_file(pod, mounts, facts.pod_ip)
        log = log_path(self._log_folder, pod, container["name"], attempt)
        image_ref = self._images.reference(image, container["image"])
        made = container_config(pod, container, image, env, mounts, attempt, log, message_log, image_ref)
        memory = int(quantity.parse(facts.allocatable["memory"]))
        return replace(made, oom_score_adj=oom_score_adj(pod, container, memory))

    def _add_hosts_file(self, pod: Pod, mounts: list[Mount], ip: str) -> None:
        """The pod's /etc/hosts, unless the container has a volume there."""
        if all(mount.container_path != HOSTS_PATH for mount in mounts):
            file = self._log_folder / podutil.uid(pod) / "etc-hosts"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(hosts_file(pod, pod_names(pod, self._cluster_domain), ip))
            file.chmod(0o644)
            mounts.append(Mount(HOSTS_PATH, str(file)))

    async def _post_start(self, pod: Pod, container: Container, container_id: str, ip: str, tell: Tell) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        running = asyncio.ensure_future(self._hooks.run(hook, container, container_id, ip))
        self._post_starts.setdefault(podutil.uid(pod), set()).add(running)
        try:
            await asyncio.wait({running})
            if running.cancelled():
                raise HookError("context canceled")
            running.result()
        except HookError as error:
            log.warning("postStart hook of %s in pod %s: %s", container["name"], podutil.describe(pod), error)
            tell("Warning", "FailedPostStartHook", "PostStartHook failed")  # upstream keeps the output out of events
            await self._killer.kill(pod, container, container_id, "FailedPostStartHook", podutil.grace_period(pod), ip)
            raise StartError("PostStartHookError", str(error)) from error
        finally:
            self._post_starts.get(podutil.uid(pod), set()).discard(running)

    def abort(self, pod_uid: str) -> None:
        """The pod is to end: do not wait for its images and postStart hooks."""
        self._images.abort(pod_uid)
        for hook in self._post_starts.pop(pod_uid, set()):
            hook.cancel()

    def forget(self, pod_uid: str) -> None:
        self._images.forget(pod_uid)

    def _teller(self, pod: Pod, container: Container) -> Tell:
        path = podutil.field_path(pod, container)

        def tell(kind: str, reason: str, message: str) -> None:
            self._recorder.event(pod, kind, reason, message, field_path=path)

        return tell
