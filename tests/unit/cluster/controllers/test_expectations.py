"""Expectations: a controller does not act on a cache that has not caught up with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelab.clock import VirtualClock
from kubelab.cluster.controllers.expectations import TIMEOUT, Expectations

KEY = ("default", "web")


def test_nothing_expected_is_satisfied():
    assert Expectations(VirtualClock()).satisfied(KEY)


def test_creations_are_counted_down():
    expectations = Expectations(VirtualClock())
    expectations.expect_creations(KEY, 2)
    expectations.creation_observed(KEY)
    assert not expectations.satisfied(KEY)
    expectations.creation_observed(KEY)
    assert expectations.satisfied(KEY)


def test_one_deletion_seen_twice_counts_once():
    """The watch tells first of the deletion timestamp, then of the deletion."""
    expectations = Expectations(VirtualClock())
    expectations.expect_deletions(KEY, ["a", "b"])
    expectations.deletion_observed(KEY, "a")
    expectations.deletion_observed(KEY, "a")
    assert not expectations.satisfied(KEY)
    expectations.deletion_observed(KEY, "b")
    assert expectations.satisfied(KEY)


async def test_an_observation_that_never_comes_blocks_for_five_minutes_only():
    clock = VirtualClock()
    expectations = Expectations(clock)
    expectations.expect_creations(KEY, 1)
    await clock.advance(TIMEOUT)
    assert not expectations.satisfied(KEY)
    await clock.advance(1)
    assert expectations.satisfied(KEY)


def test_a_deleted_owner_is_forgotten():
    expectations = Expectations(VirtualClock())
    expectations.expect_creations(KEY, 1)
    expectations.forget(KEY)
    assert expectations.satisfied(KEY)


@given(st.sets(st.text(min_size=1, max_size=3)), st.lists(st.text(min_size=1, max_size=3)))
def test_satisfied_exactly_when_every_expected_deletion_was_seen(expected: set[str], seen: list[str]):
    expectations = Expectations(VirtualClock())
    expectations.expect_deletions(KEY, expected)
    for uid in seen:
        expectations.deletion_observed(KEY, uid)
    assert expectations.satisfied(KEY) is (expected <= set(seen))
