"""Container logs that grow too large are put aside, and the oldest of them go.

Upstream: pkg/kubelet/logs/container_log_manager.go. `0.log` becomes `0.log.20260131-120000`, all but the newest of
these are compressed, and the container goes on in a new `0.log`. `kubectl logs` reads that one, and with `-f` goes on
from one to the next.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import shutil
from pathlib import Path

from kubelab.cluster import quantity
from kubelab.cluster.kubelet.node import Node
from kubelab.runtime.api import ContainerState, RuntimeServiceError

log = logging.getLogger(__name__)

STAMP = "%Y%m%d-%H%M%S"


class LogRotation:
    """Looks after the logs of all containers that run on a node."""

    def __init__(self, node: Node) -> None:
        config = node.config
        self._node, self._interval = node, config.containerLogMonitorInterval
        self._most_bytes, self._most_files = quantity.parse(config.containerLogMaxSize), config.containerLogMaxFiles

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await self._node.clock.sleep(self._interval)
            try:
                await self.rotate_all()
            except (OSError, RuntimeServiceError) as error:
                log.warning("logs not rotated: %s", error)

    async def rotate_all(self) -> None:
        for container in await self._node.runtime.list_containers(machine=self._node.name):
            path = Path(container.config.log_path)
            if container.state == ContainerState.RUNNING and _size(path) > self._most_bytes:
                await self._rotate(container.id, path)

    async def _rotate(self, container_id: str, path: Path) -> None:
        """The new file is there when the container has been told of it; until then the old one is written to."""
        aside = path.with_name(f"{path.name}.{self._node.clock.now().strftime(STAMP)}")
        kept = rotated_files(path)
        if any(old.name.startswith(aside.name) for old in kept):
            return  # twice in one second: next time
        for old in kept[: max(0, len(kept) - (self._most_files - 2))]:
            old.unlink(missing_ok=True)
        for old in rotated_files(path):
            if old.suffix != ".gz":
                await asyncio.to_thread(_compress, old)
        _rename(path, aside)
        await self._node.runtime.reopen_container_log(container_id)


def rotated_files(path: Path) -> list[Path]:
    """What was put aside of a log, the oldest first."""
    return sorted(path.parent.glob(f"{path.name}.*"))


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _rename(path: Path, to: Path) -> None:
    path.rename(to)


def _compress(path: Path) -> None:
    target = path.with_name(f"{path.name}.gz")
    with path.open("rb") as source, gzip.open(target, "wb") as file:
        shutil.copyfileobj(source, file)
    path.unlink()
