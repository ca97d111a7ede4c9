"""Pods that nobody else removes."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.config import ControllerConfig
from kubelab.cluster.controllers.controller import Context
from kubelab.cluster.controllers.podgc import QUARANTINE, PodGarbageCollector
from kubelab.cluster.informer import Informers, key_of
from kubelab.cluster.resources import NODES, PODS, Resource
from unit.cluster.builders import make_node, make_pod

DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


class FakeAPI:
    """Knows some nodes, and remembers what it was asked to do with pods."""

    def __init__(self, nodes: set[str]) -> None:
        self.nodes = nodes
        self.deleted: list[tuple[str, int]] = []
        self.patched: dict[str, dict[str, Any]] = {}

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, Any]:
        if name not in self.nodes:
            raise NotFound({"message": f'nodes "{name}" not found'})
        return {}

    async def patch(self, resource: Resource, name: str, patch: dict[str, Any], namespace: str, **options: Any) -> None:
        assert options == {"subresource": "status"}
        self.patched[name] = patch["status"]

    async def delete(self, resource: Resource, name: str, namespace: str, **options: Any) -> None:
        self.deleted.append((name, options["grace_period_seconds"]))


class Collector:
    def __init__(
        self, *pods: dict[str, Any], live: tuple[str, ...] = (), cached: tuple[str, ...] = (), threshold: int = 2
    ):
        self.clock, self.api = VirtualClock(), FakeAPI(set(live))
        informers = Informers(self.api, self.clock)
        config = ControllerConfig(terminated_pod_gc_threshold=threshold)
        self.collector = PodGarbageCollector(Context(self.api, informers, self.clock, config))
        for pod in pods:
            informers.of(PODS)._store.put(key_of(pod), pod)
        for name in cached:
            informers.of(NODES)._store.put(("", name), make_node(name))

    async def round(self) -> list[tuple[str, int]]:
        await self.collector.collect()
        return sorted(self.api.deleted)


async def test_pods_of_a_lost_node_go_after_the_quarantine():
    lab = Collector(make_pod("p", node="gone"), make_pod("q", node="here"), live=("here",), cached=("here",))
    assert await lab.round() == []
    await lab.clock.advance(QUARANTINE)
    assert await lab.round() == [("p", 0)]
    status = lab.api.patched["p"]
    assert status["phase"] == "Failed"
    assert status["conditions"][0]["reason"] == "DeletionByPodGC"
    assert status["conditions"][0]["message"] == "PodGC: node no longer exists"


async def test_a_node_that_only_the_cache_misses_keeps_its_pods():
    lab = Collector(make_pod("p", node="new"), live=("new",))
    await lab.round()
    await lab.clock.advance(QUARANTINE)
    assert await lab.round() == []


async def test_a_pod_deleted_before_it_had_a_node_goes_at_once():
    assert await Collector(make_pod("p", phase="Pending", metadata=DELETED)).round() == [("p", 0)]


@pytest.mark.parametrize(("threshold", "expected"), [(2, ["a"]), (3, []), (0, [])])
async def test_the_oldest_finished_pods_beyond_the_threshold_go(threshold: int, expected: list[str]):
    days = {"a": "2026-01-01T00:00:00Z", "b": "2026-01-02T00:00:00Z", "c": "2026-01-03T00:00:00Z"}
    pods = [make_pod(n, node="n", phase="Succeeded", metadata={"creationTimestamp": day}) for n, day in days.items()]
    lab = Collector(*pods, make_pod("running", node="n"), live=("n",), cached=("n",), threshold=threshold)
    assert [name for name, _ in await lab.round()] == expected
