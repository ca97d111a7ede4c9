"""Slow start: batches of 1, 2, 4 …, and none after a batch that failed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.client import Forbidden
from kubelab.cluster.controllers.replicas import slow_start


class Calls:
    def __init__(self, fail_from: int | None = None) -> None:
        self.made = 0
        self.fail_from = fail_from

    async def __call__(self) -> None:
        self.made += 1
        if self.fail_from is not None and self.made > self.fail_from:
            raise Forbidden({"message": "quota"})


async def test_everything_is_called_when_all_goes_well():
    calls = Calls()
    assert await slow_start(20, calls) == (20, None)
    assert calls.made == 20


async def test_what_fails_at_once_is_tried_once():
    calls = Calls(fail_from=0)
    succeeded, failure = await slow_start(500, calls)
    assert (succeeded, str(failure), calls.made) == (0, "quota", 1)


@given(st.integers(0, 100), st.integers(0, 100))
async def test_at_most_one_batch_is_wasted(count: int, good: int):
    calls = Calls(fail_from=good)
    succeeded, failure = await slow_start(count, calls)
    assert succeeded == min(count, good)
    assert (failure is None) is (count <= good)
    assert calls.made <= max(2 * good + 1, 1)
