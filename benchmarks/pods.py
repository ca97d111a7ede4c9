"""Pods: until they are Ready, what many of them weigh, and how soon a lost node's are replaced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.lab import Lab, kubelab

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
IDLE = 5.0  # seconds of quiet before memory is read
MEMORY_OF = ("control-plane", "node-1", "node-2")


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


def replicas(copies: int) -> Callable[[int], Iterator[float]]:
    """From scaling a ReplicaSet from 0 to `copies`, to the watch event that makes the last of them Ready."""

    def measure(runs: int) -> Iterator[float]:
        with Lab() as lab:
            for run in range(runs):
                lab.scale_from_zero(f"bench-{run}", POD, copies)
                started = time.monotonic()
                lab.apps.patch_namespaced_replica_set_scale(f"bench-{run}", "default", {"spec": {"replicas": copies}})
                yield lab.until_ready(copies) - started
                lab.apps.delete_namespaced_replica_set(f"bench-{run}", "default", propagation_policy="Background")
                lab.clear()

    return measure


def memory(kind: str) -> Callable[[int], Iterator[float]]:
    """Of control plane and two nodes, idle, in MiB: `rss`, pages that processes share counted once each, or `pss`."""

    def measure(runs: int) -> Iterator[float]:
        for _ in range(runs):
            with Lab() as lab:
                time.sleep(IDLE)
                yield sum(lab.memory(name, kind) for name in MEMORY_OF)

    return measure


def many(copies: int) -> Callable[[int], Iterator[float]]:
    """MiB of everything that runs, engines and `copies` pods of one small program each, shared pages counted once."""

    def measure(runs: int) -> Iterator[float]:
        for _ in range(runs):
            with Lab() as lab:
                lab.scale_from_zero("bench", POD, copies, at_once=True)
                lab.until_ready(copies)
                time.sleep(IDLE)
                yield lab.memory_of_all()

    return measure


def node_lost(runs: int) -> Iterator[float]:
    """From losing a node to the watch event that makes the last replacement of its pods Ready, in profile `class`.

    The waits in it are upstream's settings: 8 s without a heartbeat, then 5 s of toleration (upstream: 50 s and 300 s).
    """
    for _ in range(runs):
        with Lab("class") as lab:
            lab.scale_from_zero("bench", POD, 4, at_once=True)
            lab.until_ready(4)
            before = {each.metadata.uid for each in lab.core.list_namespaced_pod("default").items}
            lost = lab.core.list_namespaced_pod("default").items[0].spec.node_name
            here = {
                each.metadata.uid
                for each in lab.core.list_namespaced_pod("default").items
                if each.spec.node_name == lost
            }
            started = time.monotonic()
            kubelab(lab.home, "node", "stop", lost)
            yield lab.until_ready(len(here), but_not=before) - started
