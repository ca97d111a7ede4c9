"""What is measured, in which unit, and the target.

For comparison, a real single-node Kubernetes 1.20 on this kind of machine (2 cores): 17 s to a ready node, 1.7 s from
create to Ready, 19.6 s for 0 → 20, about 490 MB for the control plane alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.notebooks import NOTEBOOKS, nbval_command

from benchmarks.lab import Lab, fresh_home, kubelab

ROOT = NOTEBOOKS.parent
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"generateName": "bench-", "labels": {"app": "bench"}},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "main",
                "image": "kubelab/python",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sleep", "1000"],
            }
        ],
    },
}
COPIES = 20
IDLE = 5.0  # seconds of quiet before memory is read
MEMORY_OF = ("control-plane", "node-1", "node-2")


@dataclass(frozen=True)
class Figure:
    """`measure(runs)` gives one value a run."""

    unit: str
    target: float
    measure: Callable[[int], Iterator[float]]
    most_runs: int = 100


def up_warm(runs: int) -> Iterator[float]:
    """`kubelab up` until it returns, which is when the API answers and both nodes are ready."""
    with fresh_home() as home:
        for run in range(runs + 1):
            started = time.monotonic()
            kubelab(home, "up")
            took = time.monotonic() - started
            kubelab(home, "down")
            if run:  # the first one made the base image and the certificates
                yield took


def up_first(runs: int) -> Iterator[float]:
    """The same with an empty state folder: base image, certificates, database."""
    for _ in range(runs):
        with fresh_home() as home:
            started = time.monotonic()
            kubelab(home, "up")
            yield time.monotonic() - started
            kubelab(home, "down")


def pod_ready(runs: int) -> Iterator[float]:
    """From the request that creates a pod to the watch event that says Ready."""
    with Lab() as lab:
        for run in range(runs + 1):
            started = time.monotonic()
            lab.core.create_namespaced_pod("default", POD)
            took = lab.until_ready(1) - started
            lab.clear()
            if run:  # the first one finds caches cold
                yield took


def replicas(runs: int) -> Iterator[float]:
    """From scaling a ReplicaSet from 0 to 20, to the watch event that makes the twentieth Ready."""
    template = {"metadata": {"labels": {"app": "bench"}}, "spec": POD["spec"]}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "bench"}}, "template": template}
    with Lab() as lab:
        for run in range(runs):
            lab.apps.create_namespaced_replica_set("default", {"metadata": {"name": f"bench-{run}"}, "spec": spec})
            started = time.monotonic()
            lab.apps.patch_namespaced_replica_set_scale(f"bench-{run}", "default", {"spec": {"replicas": COPIES}})
            yield lab.until_ready(COPIES) - started
            lab.apps.delete_namespaced_replica_set(f"bench-{run}", "default", propagation_policy="Background")
            lab.clear()


def memory(kind: str) -> Callable[[int], Iterator[float]]:
    """Of control plane and two nodes, idle, in MiB: `rss`, pages that processes share counted once each, or `pss`."""

    def measure(runs: int) -> Iterator[float]:
        for _ in range(runs):
            with Lab() as lab:
                time.sleep(IDLE)
                yield sum(lab.memory(name, kind) for name in MEMORY_OF)

    return measure


def notebooks(runs: int) -> Iterator[float]:
    """All notebooks through nbval, on engines that are up."""
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    for _ in range(runs):
        with Lab("class") as lab:
            started = time.monotonic()
            environment = {**os.environ, "KUBELAB_HOME": str(lab.home.path)}
            subprocess.run(nbval_command(paths), env=environment, cwd=ROOT, check=True, stdout=sys.stderr)
            yield time.monotonic() - started


FIGURES = {
    "up_warm": Figure("s", 1.5, up_warm),
    "up_first": Figure("s", 10, up_first),
    "pod_ready": Figure("s", 0.4, pod_ready),
    "replicaset_0_to_20": Figure("s", 5, replicas),
    "idle_rss": Figure("MiB", 200, memory("rss"), most_runs=3),
    "idle_pss": Figure("MiB", 200, memory("pss"), most_runs=3),
    "notebooks_nbval": Figure("s", 180, notebooks, most_runs=1),
}
