"""The pods of one machine as the runtime knows them: read whole at the start, then one pod at a time.

Upstream: the kubelet's pod cache and PLEG (pkg/kubelet/pleg), with the runtime's events in place of relisting.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from pathlib import Path

from kubelab.cluster.kubelet import log_rotation
from kubelab.cluster.kubelet.runtime_status import POD_UID, TERMINATION_PATH, RuntimePod
from kubelab.cluster.kubelet.termination_message import with_message
from kubelab.runtime.api import ContainerState, ContainerStatus, PodSandboxStatus, RuntimeServiceError
from kubelab.runtime.client import RuntimeClient


class RuntimePods:
    """Knows which sandboxes belong to which pod, so that one pod's state costs two small questions."""

    def __init__(self, runtime: RuntimeClient, machine: str) -> None:
        self._runtime, self._machine = runtime, machine
        self._sandboxes: dict[str, list[str]] = defaultdict(list)  # pod UID -> sandbox IDs

    async def relist(self) -> set[str]:
        """Ask for everything on the machine; the UIDs of the pods that have a sandbox."""
        self._sandboxes.clear()
        for sandbox in await self._runtime.list_pod_sandbox(self._machine):
            self.add(sandbox.config.labels.get(POD_UID) or sandbox.config.uid, sandbox.id)
        return set(self._sandboxes)

    def add(self, pod_uid: str, sandbox_id: str) -> None:
        if sandbox_id not in self._sandboxes[pod_uid]:
            self._sandboxes[pod_uid].append(sandbox_id)

    def owner(self, sandbox_id: str) -> str | None:
        """The UID of the pod that has this sandbox."""
        return next((uid for uid, ids in self._sandboxes.items() if sandbox_id in ids), None)

    async def get(self, pod_uid: str) -> RuntimePod:
        ids = list(self._sandboxes.get(pod_uid, ()))
        found = await asyncio.gather(*(self._sandbox(pod_uid, sandbox_id) for sandbox_id in ids))
        sandboxes = [sandbox for sandbox, _ in found if sandbox is not None]
        containers = [container for _, contained in found for container in contained]
        return RuntimePod(
            sorted(sandboxes, key=lambda s: (s.created_at, s.config.attempt), reverse=True),
            sorted(containers, key=lambda c: (c.created_at, c.config.attempt), reverse=True),
        )

    async def _sandbox(self, pod_uid: str, sandbox_id: str) -> tuple[PodSandboxStatus | None, list[ContainerStatus]]:
        try:
            sandbox = await self._runtime.pod_sandbox_status(sandbox_id)
            containers = await self._runtime.list_containers(sandbox_id=sandbox_id)
        except RuntimeServiceError as error:
            if error.code != "NotFound":
                raise
            self._sandboxes[pod_uid] = [known for known in self._sandboxes[pod_uid] if known != sandbox_id]
            return None, []
        return sandbox, [with_message(container) for container in containers]

    async def remove(self, pod_uid: str) -> None:
        """Take the pod out of the runtime, running or not."""
        for sandbox_id in self._sandboxes.pop(pod_uid, []):
            try:
                await self._runtime.stop_pod_sandbox(sandbox_id)
                await self._runtime.remove_pod_sandbox(sandbox_id)
            except RuntimeServiceError as error:
                if error.code != "NotFound":
                    raise

    async def prune(self, observed: RuntimePod) -> None:
        """Keep the newest two attempts at each container (upstream's MaxPerPodContainer: 1), with their logs."""
        seen: dict[str, int] = defaultdict(int)
        for container in observed.containers:
            seen[container.config.name] += 1
            old = container.state in (ContainerState.EXITED, ContainerState.CREATED)
            if seen[container.config.name] > 2 and old:
                await self._runtime.remove_container(container.id)
                _forget_files(container)


def _forget_files(container: ContainerStatus) -> None:
    for rotated in log_rotation.rotated_files(Path(container.config.log_path)) if container.config.log_path else ():
        rotated.unlink(missing_ok=True)
    for path in (container.config.log_path, container.config.annotations.get(TERMINATION_PATH, "")):
        if path:
            Path(path).unlink(missing_ok=True)
