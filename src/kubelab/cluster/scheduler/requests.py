"""What a pod asks of a node: CPU, memory, host ports.

Upstream: staging/src/k8s.io/component-helpers/resource/helpers.go; pkg/scheduler/util/pod_resources.go for the
amounts that a container without requests is counted with when nodes are scored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubelab.cluster import quantity

Object = dict[str, Any]

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Amount:
    """CPU in thousandths of a core, memory in bytes."""

    milli_cpu: int = 0
    memory: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.milli_cpu + other.milli_cpu, self.memory + other.memory)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.milli_cpu - other.milli_cpu, self.memory - other.memory)

    def at_least(self, other: Amount) -> Amount:
        return Amount(max(self.milli_cpu, other.milli_cpu), max(self.memory, other.memory))


NOTHING = Amount()


@dataclass(frozen=True)
class PodInfo:
    """A pod, and what the scheduler computed from its spec once."""

    pod: Object
    requested: Amount
    non_zero_requested: Amount
    host_ports: frozenset[tuple[str, str, int]]  # (host IP, protocol, port)

    @classmethod
    def of(cls, pod: Object) -> PodInfo:
        return cls(pod, pod_requests(pod), pod_requests(pod, non_zero=True), _host_ports(pod))


def pod_requests(pod: Object, *, non_zero: bool = False) -> Amount:
    """The most that the pod needs at any time: its containers and sidecars, or an init container before them."""
    spec = pod["spec"]
    sidecars, largest_init = Amount(), Amount()
    for container in spec.get("initContainers") or ():
        amount = _container_requests(container, non_zero)
        if container.get("restartPolicy") == "Always":
            sidecars += amount
            largest_init = largest_init.at_least(sidecars)
        else:
            largest_init = largest_init.at_least(sidecars + amount)
    total = sidecars
    for container in spec.get("containers") or ():
        total += _container_requests(container, non_zero)
    return total.at_least(largest_init) + _amount(spec.get("overhead") or {}, Amount())


def _container_requests(container: Object, non_zero: bool) -> Amount:
    requests = (container.get("resources") or {}).get("requests") or {}
    return _amount(requests, Amount(DEFAULT_MILLI_CPU, DEFAULT_MEMORY) if non_zero else Amount())


def _amount(resources: dict[str, Any], default: Amount) -> Amount:
    return Amount(
        quantity.milli(resources["cpu"]) if "cpu" in resources else default.milli_cpu,
        int(quantity.parse(resources["memory"])) if "memory" in resources else default.memory,
    )


def allocatable(node: Object) -> tuple[Amount, int]:
    """What the node has to give, and to how many pods; a node that has not said so gives nothing."""
    resources = node.get("status", {}).get("allocatable") or {}
    return _amount(resources, Amount()), int(quantity.parse(resources.get("pods", 0)))


def _host_ports(pod: Object) -> frozenset[tuple[str, str, int]]:
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in pod["spec"].get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )
