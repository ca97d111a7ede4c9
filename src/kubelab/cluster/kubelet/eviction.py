"""Pods that use more of the node's disk than they may: they are evicted.

Upstream: localStorageEviction in pkg/kubelet/eviction/eviction_manager.go (emptyDir sizeLimit, limits of
ephemeral-storage), looked at every ten seconds. A volume in memory needs none of it: the kernel lets nothing more in.
The node's own thresholds (memory.available and so on) are not watched: all nodes of the lab share one machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.container_config import log_folder
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.runtime_status import POD_UID
from kubelab.cluster.kubelet.volumes import Volumes
from kubelab.runtime.api import ContainerStatus, RuntimeServiceError

log = logging.getLogger(__name__)

PERIOD_SECONDS = 10.0
STORAGE = "ephemeral-storage"
Evict = Callable[[str, str], None]  # pod UID, message


class EvictionManager:
    def __init__(self, node: Node, volumes: Volumes, pods: Callable[[], Iterable[Pod]], evict: Evict) -> None:
        self._node, self._volumes, self._pods, self._evict = node, volumes, pods, evict

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._node.clock.sleep(PERIOD_SECONDS)
            for pod in [p for p in self._pods() if not podutil.is_terminal(p) and not podutil.is_deleting(p)]:
                try:
                    message = self._full_volume(pod) or await self._full_container(pod)
                except (OSError, RuntimeServiceError) as error:
                    log.info("disk usage of pod %s: %s", podutil.describe(pod), error)
                    continue
                if message:
                    self._evict(podutil.uid(pod), message)

    def _full_volume(self, pod: Pod) -> str:
        for volume in pod["spec"].get("volumes") or []:
            source = volume.get("emptyDir") or {}
            limit = source.get("sizeLimit")
            if limit and source.get("medium") != "Memory":
                used = disk_usage(self._volumes.empty_dir(pod, volume["name"]))
                if used > quantity.parse(limit):
                    return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
        return ""

    async def _full_container(self, pod: Pod) -> str:
        limits = {c["name"]: _storage_limit(c) for c in podutil.containers(pod)}
        if not any(limits.values()):
            return ""
        found = await self._node.runtime.list_containers(machine=self._node.name)
        mine = [c for c in found if c.config.labels.get(POD_UID) == podutil.uid(pod)]
        for container in mine:
            limit = limits.get(container.config.name)
            if limit and await self._used(pod, container) > quantity.parse(limit):
                return f'Container {container.config.name} exceeded its local ephemeral storage limit "{limit}". '
        return ""

    async def _used(self, pod: Pod, container: ContainerStatus) -> int:
        """Its writable layer and its logs, in bytes."""
        logs = log_folder(self._node.pods_folder, pod) / container.config.name
        layer = await asyncio.to_thread(self._node.runtime.writable_layer, container.id)
        return await asyncio.to_thread(lambda: disk_usage(layer) + disk_usage(logs))


def _storage_limit(container: Container) -> str | None:
    return ((container.get("resources") or {}).get("limits") or {}).get(STORAGE)


def disk_usage(folder: Path) -> int:
    """Bytes that a folder takes, as du(1) counts them; what goes meanwhile counts for nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for path in (Path(place), *(Path(place, name) for name in names)):
            try:
                total += path.lstat().st_blocks * 512
            except OSError:
                continue
    return total
