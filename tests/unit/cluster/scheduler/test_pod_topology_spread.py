"""Spreading over zones and hosts."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.scheduler.framework import Change
from kubelab.cluster.scheduler.plugins import BY_NAME
from kubelab.cluster.scheduler.plugins.pod_topology_spread import HOSTNAME, ZONE
from kubelab.cluster.scheduler.requests import PodInfo
from unit.cluster.builders import make_node, make_pod
from unit.cluster.scheduler.cycles import FakeCluster, cycle_of, node_info, reasons

RULE = BY_NAME["PodTopologySpread"]
SKEW = "node(s) didn't match pod topology spread constraints"
NO_LABEL = "node(s) didn't match pod topology spread constraints (missing required label)"
WEB = {"app": "web"}


def constraint(key: str = ZONE, when: str = "DoNotSchedule", **more: Any) -> dict[str, Any]:
    made = {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": when, "labelSelector": {"matchLabels": WEB}}
    return {**made, **more}


def web(name: str = "new", *constraints: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> Any:
    return make_pod(name, labels={**WEB, **(labels or {})}, topologySpreadConstraints=list(constraints), **spec)


def zone(name: str, where: str, count: int, **spec: Any) -> Any:
    pods = [web(f"{name}-{i}") for i in range(count)]
    return node_info(make_node(name, labels={ZONE: where}, **spec), *pods)


def test_the_skew_is_what_the_fullest_domain_may_have_more():
    nodes = [zone("a1", "a", 1), zone("a2", "a", 1), zone("b1", "b", 1)]
    assert reasons(web("new", constraint()), *nodes) == {"a1": (SKEW,), "a2": (SKEW,)}
    assert reasons(web("new", constraint(maxSkew=2)), *nodes) == {}


def test_a_node_without_the_label_cannot_be_judged():
    assert reasons(web("new", constraint()), zone("a", "a", 0), node_info(make_node("bare"))) == {"bare": (NO_LABEL,)}


def test_pods_that_leave_and_those_of_other_namespaces_do_not_count():
    leaving = web("leaving")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    elsewhere = web("elsewhere")
    elsewhere["metadata"]["namespace"] = "shop"
    full = node_info(make_node("a", labels={ZONE: "a"}), leaving, elsewhere)
    assert reasons(web("new", constraint()), full, zone("b", "b", 0)) == {}


def test_too_few_domains_count_as_empty_ones():
    nodes = [zone("a", "a", 1), zone("b", "b", 1)]
    assert reasons(web("new", constraint()), *nodes) == {}
    assert reasons(web("new", constraint(minDomains=3)), *nodes) == {"a": (SKEW,), "b": (SKEW,)}


def test_whether_nodes_that_the_pod_cannot_use_count_as_places():
    taint = {"key": "k", "effect": "NoSchedule"}
    nodes = [zone("a", "a", 1), zone("b", "b", 0, taints=[taint])]
    assert reasons(web("new", constraint()), *nodes)["a"] == (SKEW,)
    assert "a" not in reasons(web("new", constraint(nodeTaintsPolicy="Honor")), *nodes)
    nodes = [zone("a", "a", 1), zone("b", "b", 0)]
    chosen = {"nodeSelector": {ZONE: "a"}}
    assert "a" not in reasons(web("new", constraint(), **chosen), *nodes)
    assert reasons(web("new", constraint(nodeAffinityPolicy="Ignore"), **chosen), *nodes)["a"] == (SKEW,)


def test_match_label_keys_look_at_pods_of_the_same_version():
    old = [web(f"old{i}", labels={"hash": "1"}) for i in range(3)]
    nodes = [node_info(make_node("a", labels={ZONE: "a"}), *old), zone("b", "b", 0)]
    by_version = constraint(matchLabelKeys=["hash", "absent"])
    assert reasons(web("new", by_version, labels={"hash": "2"}), *nodes) == {}
    assert reasons(web("new", by_version, labels={"hash": "1"}), *nodes) == {"a": (SKEW,)}


def test_soft_constraints_weigh():
    nodes = [zone("a", "a", 2), zone("b", "b", 1), node_info(make_node("bare"))]
    cycle = cycle_of(web("new", constraint(when="ScheduleAnyway")), *nodes)
    assert RULE.score(cycle, nodes) == [33, 100, 0], "a node without the label takes no part"
    assert reasons(web("new", constraint(when="ScheduleAnyway")), *nodes) == {}


def test_without_constraints_the_system_spreads_over_hosts_and_zones():
    cluster = FakeCluster(selector={"matchLabels": WEB})
    nodes = [zone("a1", "a", 1), zone("a2", "a", 0), zone("b", "b", 0), node_info(make_node("bare"))]
    scores = RULE.score(cycle_of(make_pod("new", labels=WEB), *nodes, cluster=cluster), nodes)
    assert scores[0] < scores[1] < scores[2]
    assert scores[3] == 100, "no zone is no reason to leave the node out"
    assert RULE.score(cycle_of(make_pod("alone"), *nodes), nodes) == [0, 0, 0, 0]


def test_which_changes_may_help():
    info, cluster = PodInfo.of(web("new", constraint())), FakeCluster()
    assert RULE.may_help(info, Change("pod", web("old"), None), cluster)
    assert not RULE.may_help(info, Change("pod", make_pod("other"), None), cluster)
    assert RULE.may_help(info, Change("node", None, make_node("c", labels={ZONE: "c"})), cluster)
    assert not RULE.may_help(info, Change("node", make_node("c"), make_node("c", unschedulable=True)), cluster)
    by_host = PodInfo.of(web("new", constraint(HOSTNAME)))
    assert RULE.may_help(by_host, Change("node", None, make_node("c")), cluster)
