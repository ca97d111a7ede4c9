"""What a pod asks of a node: CPU, memory and whatever else can be requested, host ports; and whom it wants near.

Upstream: staging/src/k8s.io/component-helpers/resource/helpers.go; pkg/scheduler/util/pod_resources.go for the
amounts that a container without requests is counted with when nodes are scored; PodInfo in
pkg/scheduler/framework/types.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.scheduler.affinity_terms import AffinityTerm, affinity_terms

Object = dict[str, Any]

DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024  # bytes


@dataclass(frozen=True)
class Amount:
    """CPU in thousandths of a core, memory in bytes; `others` are ephemeral-storage, huge pages and what a device
    plugin offers, each in its own unit.
    """

    milli_cpu: int = 0
    memory: int = 0
    others: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Amount) -> Amount:
        return self._with(other, lambda mine, theirs: mine + theirs)

    def __sub__(self, other: Amount) -> Amount:
        return self._with(other, lambda mine, theirs: mine - theirs)

    def at_least(self, other: Amount) -> Amount:
        return self._with(other, max)

    def _with(self, other: Amount, combine: Callable[[int, int], int]) -> Amount:
        others = self.others
        if self.others or other.others:
            names = [*self.others, *(name for name in other.others if name not in self.others)]
            combined = {name: combine(self.others.get(name, 0), other.others.get(name, 0)) for name in names}
            others = {name: amount for name, amount in combined.items() if amount}
        return Amount(combine(self.milli_cpu, other.milli_cpu), combine(self.memory, other.memory), others)


NOTHING = Amount()


@dataclass(frozen=True)
class PodInfo:
    """A pod, and what the scheduler computed from its spec once."""

    pod: Object
    requested: Amount
    non_zero_requested: Amount
    host_ports: frozenset[tuple[str, str, int]]  # (host IP, protocol, port)
    affinity: tuple[AffinityTerm, ...] = ()  # required
    anti_affinity: tuple[AffinityTerm, ...] = ()  # required
    preferred: tuple[AffinityTerm, ...] = ()  # of both kinds; a negative weight keeps away

    @classmethod
    def of(cls, pod: Object) -> PodInfo:
        requested, non_zero = pod_requests(pod), pod_requests(pod, non_zero=True)
        return cls(pod, requested, non_zero, _host_ports(pod), *affinity_terms(pod))

    @property
    def uid(self) -> str:
        return self.pod["metadata"]["uid"]

    @property
    def priority(self) -> int:
        return self.pod["spec"].get("priority") or 0

    @property
    def has_affinity(self) -> bool:
        """Whether it says something about other pods."""
        return bool(self.affinity or self.anti_affinity or self.preferred)


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
    others = {name: int(quantity.parse(v)) for name, v in resources.items() if name not in ("cpu", "memory", "pods")}
    return Amount(
        quantity.milli(resources["cpu"]) if "cpu" in resources else default.milli_cpu,
        int(quantity.parse(resources["memory"])) if "memory" in resources else default.memory,
        {name: amount for name, amount in others.items() if amount},
    )


def allocatable(node: Object) -> tuple[Amount, int]:
    """What the node has to give, and to how many pods; a node that has not said so gives nothing."""
    resources = node.get("status", {}).get("allocatable") or {}
    return _amount(resources, Amount()), int(quantity.parse(resources.get("pods", 0)))


def _host_ports(pod: Object) -> frozenset[tuple[str, str, int]]:
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    return frozenset(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in (*sidecars, *(spec.get("containers") or ()))
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )
