"""Memory limits: where no cgroup can be written, resident memory is sampled and the container killed above its limit.

What the kernel's out-of-memory killer does in a memory cgroup, at the granularity of the sampling: the container's
first process gets SIGKILL, and the container ends with 137 and the reason OOMKilled.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from kubelab.runtime.container import Container

INTERVAL = 0.1  # seconds between samples


class Watch:
    """Samples while there are containers with a limit."""

    def __init__(self, resident_bytes: Callable[[Container], int]) -> None:
        self._resident_bytes = resident_bytes
        self._containers: dict[str, Container] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, container: Container) -> None:
        self._containers[container.id] = container
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._sample())

    def discard(self, container: Container) -> None:
        self._containers.pop(container.id, None)

    async def _sample(self) -> None:
        while self._containers:
            for container in list(self._containers.values()):
                if self._resident_bytes(container) > container.config.resources.memory_limit:
                    self._kill(container)
            await asyncio.sleep(INTERVAL)

    def _kill(self, container: Container) -> None:
        if container.supervised is not None:
            container.out_of_memory = True
            container.supervised.signal(signal.SIGKILL)
        self.discard(container)
