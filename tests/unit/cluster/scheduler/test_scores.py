"""Which node is best among those that can run a pod."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.scheduler import scoring
from kubelab.cluster.scheduler.plugins import BY_NAME
from unit.cluster.builders import make_node, make_pod
from unit.cluster.scheduler.cycles import FakeCluster, cycle_of, node_info


def best(pod: dict[str, Any], *nodes: Any, cluster: FakeCluster | None = None) -> list[str]:
    return [node.name for node in scoring.best(cycle_of(pod, *nodes, cluster=cluster), nodes)]


def test_the_emptier_node_is_better():
    busy = node_info(make_node("busy"), make_pod("x", requests={"cpu": "2", "memory": "4Gi"}))
    assert best(make_pod(requests={"cpu": "1"}), busy, node_info(make_node("idle"))) == ["idle"]


def test_pods_of_one_service_are_spread_even_when_they_ask_for_nothing():
    mine = [make_pod(f"p{i}", labels={"app": "web"}) for i in range(2)]
    with_two = node_info(make_node("two"), *mine)
    with_none = node_info(make_node("none"))
    cluster = FakeCluster(selector={"matchLabels": {"app": "web"}})
    assert best(make_pod("new", labels={"app": "web"}), with_two, with_none, cluster=cluster) == ["none"]


def test_the_pull_of_a_preferred_node():
    preferred = [{"weight": 100, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    pod = make_pod(affinity=affinity)
    assert best(pod, node_info(make_node("a")), node_info(make_node("b", labels={"ssd": ""}))) == ["b"]


def test_a_node_that_would_rather_not_is_taken_last():
    taint = {"key": "old", "effect": "PreferNoSchedule"}
    assert best(make_pod(), node_info(make_node("a", taints=[taint])), node_info(make_node("b"))) == ["b"]


def test_cpu_and_memory_used_evenly_are_better():
    even, uneven = node_info(make_node("even")), node_info(make_node("uneven", memory="64Gi"))
    cycle = cycle_of(make_pod(requests={"cpu": "1", "memory": "2Gi"}), even, uneven)
    assert BY_NAME["NodeResourcesBalancedAllocation"].score(cycle, cycle.nodes) == [100, 89]


def test_the_node_that_has_the_image_is_better():
    with_image = make_node("b")
    with_image["status"]["images"] = [{"names": ["docker.io/library/x:latest", "x:latest"], "sizeBytes": 2**30}]
    nodes = [node_info(make_node("a")), node_info(with_image)]
    cycle = cycle_of(make_pod(), *nodes)
    assert BY_NAME["ImageLocality"].score(cycle, nodes) == [0, 50], "half the nodes have it: half its size counts"
    assert best(make_pod(), *nodes) == ["b"]


def test_equal_nodes_are_all_best():
    assert best(make_pod(), node_info(make_node("a")), node_info(make_node("b"))) == ["a", "b"]
