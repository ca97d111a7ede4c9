"""Where daemons belong, what an update may replace, how long a failing pod's node waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.clock import VirtualClock
from kubelab.cluster.controllers.daemonset.history import data_of
from kubelab.cluster.controllers.daemonset.managing import FailedPodsBackoff, plan_node
from kubelab.cluster.controllers.daemonset.placement import fits, pod_template, target_node, tolerations
from kubelab.cluster.controllers.daemonset.rolling import Update
from unit.cluster.builders import make_node, make_pod

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def daemon_set(rolling: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "agent", "namespace": "default", "uid": "u"},
        "spec": {
            "template": {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [], **spec}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxUnavailable": 1}},
        },
    }


def pod(name: str, revision: str = "old", **changes: Any) -> dict[str, Any]:
    return make_pod(name, node="n", labels={"controller-revision-hash": revision}, **{"ready": True, **changes})


def taint(effect: str, key: str = "dedicated") -> dict[str, str]:
    return {"key": key, "effect": effect}


@pytest.mark.parametrize(
    ("node", "spec", "expected"),
    [
        ({}, {}, (True, True)),
        ({"taints": [taint("NoSchedule")]}, {}, (False, True)),
        ({"taints": [taint("NoExecute")]}, {}, (False, False)),
        ({"taints": [taint("PreferNoSchedule")]}, {}, (True, True)),
        ({"taints": [taint("NoExecute", "node.kubernetes.io/not-ready")]}, {}, (True, True)),
        ({"taints": [taint("NoSchedule")]}, {"tolerations": [{"operator": "Exists"}]}, (True, True)),
        ({}, {"nodeSelector": {"disk": "ssd"}}, (False, False)),
        ({"labels": {"disk": "ssd"}}, {"nodeSelector": {"disk": "ssd"}}, (True, True)),
        ({}, {"nodeName": "other"}, (False, False)),
    ],
)
def test_which_nodes_fit(node: dict[str, Any], spec: dict[str, Any], expected: tuple[bool, bool]):
    assert fits(daemon_set(**spec), make_node("n", **node)) == expected


def test_the_pod_is_made_for_its_node_and_keeps_the_rest_of_its_affinity():
    preferred = [{"weight": 1, "preference": {}}]
    own = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}, "podAffinity": {}}
    made = pod_template(daemon_set(affinity=own), "node-7", "abc")
    assert target_node(made | {"metadata": {}}) == "node-7"
    affinity = made["spec"]["affinity"]
    assert affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert affinity["podAffinity"] == {}


def test_the_hosts_network_is_tolerated_to_be_missing():
    keys = {toleration["key"] for toleration in tolerations({"hostNetwork": True})}
    assert "node.kubernetes.io/network-unavailable" in keys
    assert len(tolerations({"tolerations": tolerations({})})) == len(tolerations({}))


def test_history_keeps_the_bytes_that_kubectl_compares():
    data = data_of(daemon_set())
    template = data["spec"]["template"]
    assert list(template) == ["$patch", "metadata", "spec"]
    assert template["metadata"] == {"creationTimestamp": None, "labels": {"app": "agent"}}


@given(st.lists(st.sampled_from(["old", "old unready", "new", "new unready", "none"]), max_size=12), st.integers(1, 6))
def test_an_update_keeps_to_what_may_be_unavailable(nodes: list[str], limit: int):
    pods = {f"n{i}": _pods(kind, i) for i, kind in enumerate(nodes) if kind != "none"}
    update = Update(daemon_set({"maxUnavailable": limit}), "new", frozenset(f"n{i}" for i in range(len(nodes))), NOW)
    deleted = update.plan(pods).delete
    names = {found["metadata"]["name"] for found in deleted}
    assert {f"p{i}" for i, kind in enumerate(nodes) if kind == "old unready"} <= names
    assert not {f"p{i}" for i, kind in enumerate(nodes) if kind.startswith("new")} & names
    down = sum(kind in ("none", "old unready", "new unready") for kind in nodes)
    available = sum(kind == "old" for i, kind in enumerate(nodes) if f"p{i}" in names)
    assert available == min(max(limit - down, 0), nodes.count("old"))


def _pods(kind: str, number: int) -> list[dict[str, Any]]:
    revision, _, unready = kind.partition(" ")
    return [pod(f"p{number}", revision, ready=not unready)]


@pytest.mark.parametrize(
    ("rolling", "expected"),
    [
        ({"maxUnavailable": "1%"}, (0, 1)),
        ({"maxUnavailable": "50%"}, (0, 2)),
        ({"maxUnavailable": 0, "maxSurge": "26%"}, (2, 0)),
        ({"maxUnavailable": 0, "maxSurge": 0}, (0, 1)),
    ],
)
def test_limits_are_rounded_up(rolling: dict[str, Any], expected: tuple[int, int]):
    update = Update(daemon_set(rolling), "new", frozenset("abcd"), NOW)
    assert (update.max_surge, update.max_unavailable) == expected


def test_the_oldest_of_several_pods_stays():
    older = pod("b", metadata={"creationTimestamp": "2025-12-31T00:00:00Z"})
    plan = plan_node(daemon_set(), make_node("n"), [pod("a"), older], "old", NOW, FailedPodsBackoff(VirtualClock()))
    assert [found["metadata"]["name"] for found in plan.delete] == ["a"]
    assert plan.create == []


async def test_a_node_that_refuses_every_pod_gets_the_next_one_ever_later():
    clock = VirtualClock()
    backoff, made = FailedPodsBackoff(clock), daemon_set()
    waits = []
    for _ in range(4):
        assert backoff.remaining(made, "n") == 0
        waits.append(backoff.remaining(made, "n"))
        await clock.advance(waits[-1])
    assert waits == [1, 2, 4, 8]
    backoff.forget(made)
    assert backoff.remaining(made, "n") == 0
    assert backoff.remaining(made, "n") == 1
