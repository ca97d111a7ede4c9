"""A rollout's arithmetic: upstream's rounding, and what must hold whatever the numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.controllers.deployment import strategy


def deployment(
    replicas: int, surge: Any = "25%", unavailable: Any = "25%", kind: str = "RollingUpdate"
) -> dict[str, Any]:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"spec": {"replicas": replicas, "strategy": {"type": kind, "rollingUpdate": rolling}}}


def replica_set(replicas: int) -> dict[str, Any]:
    return {"spec": {"replicas": replicas}}


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (4, "25%", "25%", (1, 1)),
        (3, "25%", "25%", (1, 0)),  # surge rounds up, unavailable down
        (10, "25%", "25%", (3, 2)),
        (10, 3, 2, (3, 2)),
        (10, 0, 0, (0, 1)),  # both zero would never move
        (10, "0%", "5%", (0, 1)),
    ],
)
def test_fenceposts(replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]):
    assert strategy.fenceposts(deployment(replicas, surge, unavailable)) == expected


def test_recreate_has_neither():
    assert strategy.fenceposts(deployment(4, kind="Recreate")) == (0, 0)


def test_no_more_can_be_unavailable_than_there_are():
    assert strategy.max_unavailable(deployment(1, 0, 5)) == 1


@given(st.integers(0, 50), st.integers(0, 10), st.integers(0, 10), st.integers(0, 60), st.integers(0, 60))
def test_a_new_replica_set_grows_within_the_surge(wanted: int, surge: int, unavailable: int, old: int, new: int):
    made, new = deployment(wanted, surge, unavailable), min(new, wanted)
    target = strategy.new_replicas(made, [replica_set(old), replica_set(new)], replica_set(new))
    assert new <= target <= wanted
    assert target == new or old + target <= wanted + strategy.max_surge(made)


@pytest.mark.parametrize(("seconds", "expected"), [(600, 600), (None, None), (2**31 - 1, None)])
def test_the_deadline_that_means_none(seconds: int | None, expected: int | None):
    assert strategy.deadline({"spec": {"progressDeadlineSeconds": seconds}}) == expected
