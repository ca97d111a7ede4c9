"""Who has to make room, and where."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.scheduler.filtering import feasible_nodes
from kubelab.cluster.scheduler.nominator import Nominator
from kubelab.cluster.scheduler.preemption import Preemption, preempt
from kubelab.cluster.scheduler.requests import PodInfo
from unit.cluster.builders import make_node, make_pod
from unit.cluster.scheduler.cycles import FakeCluster, cycle_of, node_info, rejections


def pod(name: str, priority: int, cpu: str = "1", started: str = "2026-01-01T00:00:00Z", **spec: Any) -> Any:
    made = make_pod(name, requests={"cpu": cpu}, priority=priority, **spec)
    made["status"]["startTime"] = started
    return made


def result(preemptor: Any, *nodes: Any, nominator: Nominator | None = None, budgets: Any = ()) -> Preemption:
    cycle = cycle_of(preemptor, *nodes, cluster=FakeCluster(budgets=budgets))
    return preempt(cycle, rejections(preemptor, *nodes), nominator or Nominator())


def victims(found: Preemption) -> list[str]:
    return [info.pod["metadata"]["name"] for info in found.victims]


def test_as_few_as_possible_and_the_least_important_go():
    node = node_info(make_node(), pod("low", 1), pod("lower", 0), pod("mid", 5, "2"))
    found = result(pod("vip", 10), node)
    assert (found.node, victims(found), found.message) == ("n", ["lower"], "")
    assert victims(result(pod("vip", 10, "3"), node)) == ["mid", "lower"], "room for one more: the better of two stays"


def test_of_equal_pods_the_younger_goes():
    old, young = pod("old", 0, "2"), pod("young", 0, "2", started="2026-01-02T00:00:00Z")
    assert victims(result(pod("vip", 10, "2"), node_info(make_node(), old, young))) == ["young"]


def test_the_node_whose_victims_matter_least_is_taken():
    nodes = [node_info(make_node("a"), pod("a1", 5, "4")), node_info(make_node("b"), pod("b1", 1, "4"))]
    assert result(pod("vip", 10), *nodes).node == "b", "the highest priority of the victims first"
    nodes = [
        node_info(make_node("a"), pod("a1", 1, "2"), pod("a2", 1, "2")),
        node_info(make_node("b"), pod("b1", 1, "4")),
    ]
    assert result(pod("vip", 10, "4"), *nodes).node == "b", "then their sum, which fewer victims make smaller"
    nodes = [
        node_info(make_node("a"), pod("a1", 1, "4")),
        node_info(make_node("b"), pod("b1", 1, "4", started="2026-01-02T00:00:00Z")),
    ]
    assert result(pod("vip", 10), *nodes).node == "b", "then who has run for the shortest time"


def test_what_is_said_where_it_does_not_help():
    equal = node_info(make_node("a"), pod("a1", 10, "4"))
    cordoned = node_info(make_node("b", unschedulable=True))
    found = result(pod("vip", 10), equal, cordoned)
    assert found.gives_up
    assert found.message == (
        "0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )
    still_full = node_info(make_node("a"), pod("big", 20, "3"), pod("small", 0))
    assert result(pod("vip", 10, "2"), still_full).message == "0/1 nodes are available: 1 Insufficient cpu."


def test_a_pod_that_does_not_want_to_preempt():
    node = node_info(make_node(), pod("low", 0, "4"))
    found = result(pod("meek", 10, preemptionPolicy="Never"), node)
    assert found == Preemption(message="not eligible due to preemptionPolicy=Never.")


def test_while_the_victims_leave_nobody_else_has_to_go():
    leaving = pod("leaving", 0, "2")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    leaving["status"]["conditions"] = [
        {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    ]
    node, vip = node_info(make_node(), leaving, pod("other", 0, "2")), pod("vip", 10, "2")
    vip["status"]["nominatedNodeName"] = "n"
    assert result(vip, node) == Preemption(message="not eligible due to a terminating pod on the nominated node.")


def test_room_made_for_another_is_not_taken_by_a_less_important_pod():
    nominator, vip = Nominator(), pod("vip", 10, "4")
    nominator.nominate(PodInfo.of(vip), "n")
    node = node_info(make_node())
    assert feasible_nodes(cycle_of(pod("late", 5), node), nominator)[1]["n"].reasons == ("Insufficient cpu",)
    assert feasible_nodes(cycle_of(pod("boss", 20), node), nominator)[0] == [node]
    assert feasible_nodes(cycle_of(vip, node), nominator)[0] == [node]


def budget(allowed: int, *disrupted: str, namespace: str = "default", selector: Any = None) -> Any:
    spec = {"selector": {"matchLabels": {"app": "web"}} if selector is None else selector}
    status = {"disruptionsAllowed": allowed, "disruptedPods": dict.fromkeys(disrupted, "2026-01-01T00:00:00Z")}
    return {"metadata": {"name": "b", "namespace": namespace}, "spec": spec, "status": status}


def test_whose_budget_is_used_up_stays_where_another_can_go():
    web, other = pod("web", 0, "2", labels={"app": "web"}), pod("other", 5, "2")
    node, vip = node_info(make_node(), web, other), pod("vip", 10, "2")
    assert victims(result(vip, node)) == ["web"], "the less important"
    assert victims(result(vip, node, budgets=[budget(0)])) == ["other"], "the budget counts more than the priority"
    assert victims(result(vip, node, budgets=[budget(1)])) == ["web"], "it pays for one"


def test_a_budget_pays_for_so_many_the_important_ones_first():
    pods = [pod(name, priority, "2", labels={"app": "web"}) for name, priority in (("low", 0), ("high", 5))]
    node, vip = node_info(make_node(), *pods), pod("vip", 10, "2")
    assert victims(result(vip, node, budgets=[budget(1)])) == ["high"], "the budget was spent on it, so low is let in"
    found = result(pod("vip", 10, "4"), node, budgets=[budget(0)])
    assert victims(found) == ["high", "low"], "where nothing else helps, no budget does"


def test_the_node_with_the_fewest_violations_is_taken():
    web, worthy = pod("a1", 0, "4", labels={"app": "web"}), pod("b1", 9, "4")
    nodes = [node_info(make_node("a"), web), node_info(make_node("b"), worthy)]
    assert result(pod("vip", 10), *nodes).node == "a"
    assert result(pod("vip", 10), *nodes, budgets=[budget(0)]).node == "b"


@pytest.mark.parametrize(
    "other",
    [
        budget(0, "web"),
        budget(0, namespace="elsewhere"),
        budget(0, selector={}),
        budget(0, selector={"matchLabels": {}}),
    ],
    ids=["granted already", "another namespace", "empty selector", "empty labels"],
)
def test_budgets_that_do_not_count(other: Any):
    web, rest = pod("web", 0, "2", labels={"app": "web"}), pod("rest", 5, "2")
    assert victims(result(pod("vip", 10, "2"), node_info(make_node(), web, rest), budgets=[other])) == ["web"]
