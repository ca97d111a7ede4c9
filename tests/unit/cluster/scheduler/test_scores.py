"""Which node is best among those that can run a pod."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.scheduler import scores
from kubelab.cluster.scheduler.requests import PodInfo
from unit.cluster.builders import make_node, make_pod, owned_by
from unit.cluster.scheduler.test_filters import node_info


def best(pod: dict[str, Any], *nodes: Any) -> list[str]:
    return [node.node["metadata"]["name"] for node in scores.best(PodInfo.of(pod), nodes)]


def test_the_emptier_node_is_better():
    busy = node_info(make_node("busy"), make_pod("x", requests={"cpu": "2", "memory": "4Gi"}))
    assert best(make_pod(requests={"cpu": "1"}), busy, node_info(make_node("idle"))) == ["idle"]


def test_pods_of_one_owner_are_spread_even_when_they_ask_for_nothing():
    mine = [make_pod(f"p{i}", metadata=owned_by("rs")) for i in range(2)]
    with_two = node_info(make_node("two"), *mine)
    with_none = node_info(make_node("none"))
    assert best(make_pod("new", metadata=owned_by("rs")), with_two, with_none) == ["none"]


def test_the_pull_of_a_preferred_node():
    preferred = [{"weight": 100, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    pod = make_pod(affinity=affinity)
    assert best(pod, node_info(make_node("a")), node_info(make_node("b", labels={"ssd": ""}))) == ["b"]


def test_a_node_that_would_rather_not_is_taken_last():
    taint = {"key": "old", "effect": "PreferNoSchedule"}
    assert best(make_pod(), node_info(make_node("a", taints=[taint])), node_info(make_node("b"))) == ["b"]


def test_cpu_and_memory_used_evenly_are_better():
    pod = PodInfo.of(make_pod(requests={"cpu": "1", "memory": "2Gi"}))
    even, uneven = node_info(make_node("even")), node_info(make_node("uneven", memory="64Gi"))
    assert scores.balanced_allocation(pod, [even, uneven]) == [100, 89]


def test_equal_nodes_are_all_best():
    assert best(make_pod(), node_info(make_node("a")), node_info(make_node("b"))) == ["a", "b"]
