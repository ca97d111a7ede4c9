"""What a rule of the scheduler (upstream: a plugin) is, and what it sees: one pod's cycle over the nodes.

Upstream: pkg/scheduler/framework/interface.go. A rule may take part in filtering, in scoring, and in saying which
change of the cluster is worth another try (QueueingHint).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.requests import PodInfo

Object = dict[str, Any]
T = TypeVar("T")
MAX_SCORE = 100


@dataclass(frozen=True)
class Rejection:
    """Why a node cannot run a pod. `resolvable` where taking pods off the node could change that."""

    reasons: tuple[str, ...]
    resolvable: bool = False
    plugin: str = ""


@dataclass(frozen=True)
class Change:
    """Something happened: `what` is "pod" (one that has a node) or "node"; `old` is None for what is new, `new` for
    what is gone.
    """

    what: str
    old: Object | None = None
    new: Object | None = None


class Cluster(Protocol):
    """What rules ask about other objects than pods and nodes."""

    def namespace_labels(self, namespace: str) -> Mapping[str, str]: ...

    def default_selector(self, pod: Object) -> Object | None:
        """The LabelSelector of the pods that belong together with `pod`: by its services and its controller."""

    def disruption_budgets(self) -> Sequence[Object]:
        """The PodDisruptionBudgets of all namespaces."""


@dataclass
class Cycle:
    """One pod looks for a node among `nodes`; rules keep what they have computed about all of them."""

    pod: PodInfo
    nodes: Sequence[NodeInfo]
    cluster: Cluster
    _computed: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, compute: Callable[[], T]) -> T:
        """The result of `compute()`, which is called once in this cycle."""
        if name not in self._computed:
            self._computed[name] = compute()
        return self._computed[name]

    def with_node(self, changed: NodeInfo) -> Cycle:
        """The cycle as it were if a node had other pods."""
        name = changed.name
        return Cycle(self.pod, [changed if node.name == name else node for node in self.nodes], self.cluster)


class Plugin:
    """A rule. `weight` 0: it takes no part in scoring."""

    name: ClassVar[str]
    weight: ClassVar[int] = 0

    def filter(self, cycle: Cycle, node: NodeInfo) -> Rejection | None:
        """Why the pod cannot run there, or None where this rule has nothing against it."""
        return None

    def score(self, cycle: Cycle, nodes: Sequence[NodeInfo]) -> list[int]:
        """0 to 100 for each of the nodes."""
        return [0] * len(nodes)

    def may_help(self, pod: PodInfo, change: Change, cluster: Cluster) -> bool:
        """Whether a pod that this rule has rejected may fit after the change."""
        return False


def normalized(values: Sequence[int], *, reverse: bool = False) -> list[int]:
    """Scaled so that the highest is 100; `reverse` where less is better (DefaultNormalizeScore)."""
    highest = max(values)
    if not highest:
        return [MAX_SCORE if reverse else 0] * len(values)
    scaled = [MAX_SCORE * value // highest for value in values]
    return [MAX_SCORE - value for value in scaled] if reverse else scaled


def labels_of(obj: Object) -> Mapping[str, str]:
    return obj["metadata"].get("labels") or {}
