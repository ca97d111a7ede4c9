"""Pods that want others near, or far."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.scheduler.framework import Change
from kubelab.cluster.scheduler.plugins import BY_NAME
from kubelab.cluster.scheduler.plugins.inter_pod_affinity import NOT_NEAR, NOT_WANTED, TOO_NEAR
from kubelab.cluster.scheduler.requests import PodInfo
from unit.cluster.builders import make_node, make_pod
from unit.cluster.scheduler.cycles import FakeCluster, cycle_of, node_info, reasons, rejections

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
RULE = BY_NAME["InterPodAffinity"]


def term(app: str, key: str = HOST, **more: Any) -> dict[str, Any]:
    return {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **more}


def required(kind: str, *terms: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def preferred(kind: str, weight: int, one: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": weight, "podAffinityTerm": one}]}}


def zone(name: str, where: str, *pods: dict[str, Any]) -> Any:
    return node_info(make_node(name, labels={ZONE: where}), *pods)


def test_near_means_in_the_same_domain():
    db = make_pod("db", labels={"app": "db"})
    nodes = [zone("a1", "a", db), zone("a2", "a"), zone("b1", "b")]
    web = make_pod(affinity=required("podAffinity", term("db", ZONE)))
    assert reasons(web, *nodes) == {"b1": (NOT_NEAR,)}
    assert not rejections(web, *nodes)["b1"].resolvable
    web = make_pod(affinity=required("podAffinity", term("db")))
    assert reasons(web, *nodes) == {"a2": (NOT_NEAR,), "b1": (NOT_NEAR,)}


def test_the_first_of_a_group_that_wants_itself_near_may_go_where_the_domain_exists():
    web = make_pod("web", labels={"app": "web"}, affinity=required("podAffinity", term("web", ZONE)))
    assert reasons(web, zone("a", "a"), node_info(make_node("nowhere"))) == {"nowhere": (NOT_NEAR,)}
    other = make_pod("web", labels={"app": "other"}, affinity=required("podAffinity", term("web", ZONE)))
    assert reasons(other, zone("a", "a")) == {"a": (NOT_NEAR,)}


def test_all_terms_have_to_be_met_by_one_pod():
    both = make_pod("both", labels={"app": "x", "tier": "y"})
    near = [term("x"), {"topologyKey": HOST, "labelSelector": {"matchLabels": {"tier": "y"}}}]
    pod = make_pod(affinity=required("podAffinity", *near))
    half = make_pod("half", labels={"app": "x"})
    assert reasons(pod, node_info(make_node("a"), both), node_info(make_node("b"), half)) == {"b": (NOT_NEAR,)}


def test_far_and_the_wish_of_those_that_run_already():
    shy = make_pod("shy", labels={"app": "shy"}, affinity=required("podAntiAffinity", term("web")))
    web = make_pod("web", labels={"app": "web"})
    assert reasons(shy, node_info(make_node("a"), web), node_info(make_node("b"))) == {"a": (TOO_NEAR,)}
    assert reasons(web, node_info(make_node("a"), shy), node_info(make_node("b"))) == {"a": (NOT_WANTED,)}
    assert rejections(web, node_info(make_node("a"), shy))["a"].resolvable


@pytest.mark.parametrize(
    ("more", "far"),
    [
        ({}, False),
        ({"namespaces": ["shop"]}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "red"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "blue"}}}, False),
        ({"namespaceSelector": {}}, True),
    ],
)
def test_whose_pods_are_meant(more: dict[str, Any], far: bool):
    other = make_pod("web", labels={"app": "web"}, metadata={"namespace": "shop"})
    pod = make_pod(affinity=required("podAntiAffinity", term("web", **more)))
    cluster = FakeCluster({"shop": {"team": "red"}})
    assert bool(reasons(pod, node_info(make_node("a"), other), cluster=cluster)) is far


def test_preferred_terms_pull_and_push_by_their_weights():
    db, noisy = make_pod("db", labels={"app": "db"}), make_pod("noisy", labels={"app": "noisy"})
    nodes = [node_info(make_node("a"), db), node_info(make_node("b"), noisy), node_info(make_node("c"))]
    wish = preferred("podAffinity", 60, term("db")) | preferred("podAntiAffinity", 40, term("noisy"))
    assert RULE.score(cycle_of(make_pod(affinity=wish), *nodes), nodes) == [100, 0, 40]


def test_what_running_pods_require_draws_the_new_one_near():
    fan = make_pod("fan", affinity=required("podAffinity", term("web")))
    nodes = [node_info(make_node("a"), fan), node_info(make_node("b"))]
    assert RULE.score(cycle_of(make_pod(labels={"app": "web"}), *nodes), nodes) == [100, 0]
    assert RULE.score(cycle_of(make_pod(labels={"app": "other"}), *nodes), nodes) == [0, 0]


def test_which_changes_may_help():
    cluster = FakeCluster()
    web, shy = make_pod("web", labels={"app": "web"}), make_pod(affinity=required("podAntiAffinity", term("web")))
    fan = PodInfo.of(make_pod(affinity=required("podAffinity", term("web"))))
    assert RULE.may_help(fan, Change("pod", None, web), cluster)
    assert not RULE.may_help(fan, Change("pod", web, None), cluster)
    assert RULE.may_help(PodInfo.of(shy), Change("pod", web, None), cluster)
    assert RULE.may_help(PodInfo.of(shy), Change("pod", web, make_pod("web")), cluster), "it lost its label"
    assert RULE.may_help(PodInfo.of(web), Change("pod", shy, None), cluster)
    assert not RULE.may_help(PodInfo.of(web), Change("pod", make_pod("x"), None), cluster)
