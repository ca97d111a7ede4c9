"""What is measured, in which unit, and the target.

For comparison, a real single-node Kubernetes 1.20 on this kind of machine (2 cores): 17 s to a ready node, 1.7 s from
create to Ready, 19.6 s for 0 → 20, about 490 MB for the control plane alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import api, notebooks, pods, start


@dataclass(frozen=True)
class Figure:
    """`measure(runs)` gives one value a run. `target` None: measured to be known, with nothing promised."""

    unit: str
    target: float | None
    measure: Callable[[int], Iterator[float]]
    most_runs: int = 100
    more_is_better: bool = False

    def met(self, value: float) -> bool:
        if self.target is None:
            return True
        return value >= self.target if self.more_is_better else value <= self.target


FIGURES = {
    "up_warm": Figure("s", 1.5, start.up_warm),
    "up_first": Figure("s", 10, start.up_first),
    "pod_ready": Figure("s", 0.25, pods.pod_ready),
    "replicaset_0_to_20": Figure("s", 2, pods.replicas(20)),
    "replicaset_0_to_200": Figure("s", None, pods.replicas(200), most_runs=3),
    "api_writes": Figure("1/s", 500, api.writes, more_is_better=True),
    "api_reads": Figure("1/s", None, api.reads, more_is_better=True),
    "watch_latency": Figure("ms", 10, api.watch_latency),
    "node_lost_to_replaced": Figure("s", None, pods.node_lost, most_runs=3),
    "idle_rss": Figure("MiB", 200, pods.memory("rss"), most_runs=3),
    "idle_pss": Figure("MiB", 200, pods.memory("pss"), most_runs=3),
    "100_pods_pss": Figure("MiB", 1500, pods.many(100), most_runs=2),
    "notebooks_nbval": Figure("s", 240, notebooks.all_of_them, most_runs=1),
}
