"""What the node's containers use, as the runtime counts it: read when somebody asks, and at no other time.

Upstream: pkg/kubelet/stats/cri_stats_provider.go. The node's own figures are those of its pods and of this agent: the
machine under it is shared by all nodes of the lab.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kubelab.clock import Clock
from kubelab.runtime.api import ContainerState, ContainerStatus, PodSandboxConfig, RuntimeServiceError
from kubelab.runtime.client import RuntimeClient


@dataclass(frozen=True)
class Reading:
    """CPU in nanoseconds since the start, memory in bytes; times in seconds since the epoch."""

    time: float
    start: float
    cpu: int
    working_set: int
    usage: int = 0


@dataclass(frozen=True)
class ContainerReading:
    pod: PodSandboxConfig
    name: str
    reading: Reading


@dataclass(frozen=True)
class NodeReading:
    node: Reading
    containers: list[ContainerReading]

    def pods(self) -> dict[str, list[ContainerReading]]:
        """By the pod's UID."""
        found: dict[str, list[ContainerReading]] = {}
        for container in self.containers:
            found.setdefault(container.pod.uid, []).append(container)
        return found


class UsageReader:
    """Reads a machine's containers. It remembers what those that are gone have used, so that the sum never falls."""

    def __init__(self, runtime: RuntimeClient, machine: str, clock: Clock) -> None:
        self._runtime, self._machine, self._clock = runtime, machine, clock
        self._start = clock.now().timestamp()
        self._cpu: dict[str, int] = {}  # container -> its last reading
        self._gone = 0

    async def read(self) -> NodeReading:
        pods = {sandbox.id: sandbox.config for sandbox in await self._runtime.list_pod_sandbox(self._machine)}
        found = []
        for container in await self._runtime.list_containers(machine=self._machine):
            pod = pods.get(container.sandbox_id)
            if pod is not None and container.state is ContainerState.RUNNING:
                reading = await self._reading(container)
                if reading is not None:
                    found.append((container.id, ContainerReading(pod, container.config.name, reading)))
        return NodeReading(self._node(found), [reading for _, reading in found])

    async def _reading(self, container: ContainerStatus) -> Reading | None:
        try:
            stats = await self._runtime.container_stats(container.id)
        except RuntimeServiceError:
            return None  # it has ended since the list
        now, start = self._clock.now().timestamp(), seconds(container.started_at)
        usage = stats.memory_usage or stats.memory_bytes
        return Reading(now, start, stats.cpu_nanoseconds, stats.memory_bytes, usage)

    def _node(self, found: list[tuple[str, ContainerReading]]) -> Reading:
        now = {container: reading.reading.cpu for container, reading in found}
        self._gone += sum(cpu for container, cpu in self._cpu.items() if container not in now)
        self._cpu = now
        memory = sum(reading.reading.working_set for _, reading in found) + _own_memory()
        cpu = self._gone + sum(now.values()) + _own_cpu()
        return Reading(self._clock.now().timestamp(), self._start, cpu, memory, memory)


def total(readings: Iterable[Reading]) -> Reading:
    """A pod's, from its containers'."""
    many = list(readings)
    return Reading(
        max(r.time for r in many),
        min(r.start for r in many),
        sum(r.cpu for r in many),
        sum(r.working_set for r in many),
        sum(r.usage for r in many),
    )


def seconds(text: str) -> float:
    """An RFC 3339 time with nanoseconds."""
    return datetime.fromisoformat(text[:26].rstrip("Z") + "+00:00").timestamp() if text else time.time()


def _own_cpu() -> int:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return int((used.ru_utime + used.ru_stime) * 1e9)


def _own_memory() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0
