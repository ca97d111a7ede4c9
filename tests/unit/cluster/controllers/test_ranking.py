"""Which pods go first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.controllers.ranking import DELETION_COST, pods_to_delete
from unit.cluster.builders import make_pod

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def cost(value: str) -> dict[str, Any]:
    return {"annotations": {DELETION_COST: value}}


RULES = {
    "not on a node before on a node": (make_pod(phase="Pending"), make_pod(node="n", phase="Pending")),
    "Pending before Running": (make_pod(node="n", phase="Pending"), make_pod(node="n")),
    "Unknown before Running": (make_pod(node="n", phase="Unknown"), make_pod(node="n")),
    "not ready before ready": (make_pod(node="n"), make_pod(node="n", ready=True)),
    "cheap before dear": (
        make_pod(node="n", ready=True, metadata=cost("-5")),
        make_pod(node="n", ready=True),
    ),
    "ready for less long first": (
        make_pod(node="n", ready=True, ready_since="2026-01-01T00:59:00Z"),
        make_pod(node="n", ready=True, ready_since="2026-01-01T00:00:00Z"),
    ),
    "restarted more often first": (make_pod(node="n", ready=True, restarts=3), make_pod(node="n", ready=True)),
    "newer first": (
        make_pod(node="n", ready=True, metadata={"creationTimestamp": "2026-01-01T00:59:59Z"}),
        make_pod(node="n", ready=True),
    ),
}


@pytest.mark.parametrize(("first", "second"), RULES.values(), ids=RULES)
def test_the_rule(first: dict[str, Any], second: dict[str, Any]):
    assert pods_to_delete([second, first], [], 1, NOW) == [first]
    assert pods_to_delete([first, second], [], 1, NOW) == [first]


def test_a_node_with_more_of_the_same_gives_one_up():
    crowded = [make_pod(f"a{i}", node="a", ready=True) for i in range(2)]
    alone = make_pod("b", node="b", ready=True)
    assert pods_to_delete([alone, *crowded], [alone, *crowded], 1, NOW)[0] in crowded


def test_about_equal_ages_are_decided_by_uid_so_that_not_always_the_youngest_go():
    older = make_pod("a", node="n", ready=True, ready_since="2026-01-01T00:10:00Z")
    younger = make_pod("b", node="n", ready=True, ready_since="2026-01-01T00:12:00Z")
    assert pods_to_delete([younger, older], [], 1, NOW) == [older]


def test_when_all_go_nobody_is_ranked():
    pods = [make_pod("a"), make_pod("b")]
    assert pods_to_delete(pods, [], 2, NOW) == pods


PODS = st.builds(
    make_pod,
    name=st.uuids().map(str),
    node=st.sampled_from(["", "a", "b"]),
    phase=st.sampled_from(["Pending", "Running", "Unknown"]),
    ready=st.booleans(),
    ready_since=st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:58:00Z"]),
    restarts=st.integers(0, 2),
)


@given(st.lists(PODS, min_size=2, max_size=8, unique_by=lambda p: p["metadata"]["name"]), st.randoms())
def test_the_choice_does_not_depend_on_the_order_in_the_cache(pods: list[dict[str, Any]], chance: Any):
    shuffled = list(pods)
    chance.shuffle(shuffled)

    def ranks(chosen: list[dict[str, Any]]) -> list[tuple[bool, str, bool]]:
        return [
            (bool(p["spec"].get("nodeName")), p["status"]["phase"], p["status"]["conditions"][0]["status"] == "True")
            for p in chosen
        ]

    count = len(pods) - 1
    assert ranks(pods_to_delete(pods, pods, count, NOW)) == ranks(pods_to_delete(shuffled, pods, count, NOW))
