"""The scheduling queue: active, backing off, or waiting for the cluster to change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubelab.clock import VirtualClock, settle
from kubelab.cluster.scheduler.framework import Change
from kubelab.cluster.scheduler.queue import FLUSH_PERIOD, MAX_UNSCHEDULABLE, SchedulingQueue
from unit.cluster.builders import make_pod

NODE_ADDED = Change("node", None, {"metadata": {"name": "n"}})


class Popped:
    """A queue whose pods are popped as soon as they are ready; `names` says which, in order."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.queue = SchedulingQueue(self.clock)
        self.names: list[str] = []
        self.last: Any = None
        self._task = asyncio.ensure_future(self._pop_forever())

    async def _pop_forever(self) -> None:
        while True:
            self.last = await self.queue.pop()
            self.names.append(self.last.pod["metadata"]["name"])

    def stop(self) -> None:
        self._task.cancel()
        self.queue.close()


@pytest.fixture
async def popped():
    made = Popped()
    yield made
    made.stop()


async def test_higher_priority_goes_first_and_then_who_came_first():
    queue = SchedulingQueue(VirtualClock())
    for name, priority in (("a", 0), ("b", 0), ("c", 10)):
        queue.add(make_pod(name, priority=priority))
    assert [(await queue.pop()).pod["metadata"]["name"] for _ in range(3)] == ["c", "a", "b"]


async def test_an_unschedulable_pod_waits_for_a_change(popped: Popped):
    popped.queue.add(make_pod("a"))
    await settle()
    popped.queue.failed(popped.last)
    await popped.clock.advance(60)
    assert popped.names == ["a"]
    popped.queue.happened(NODE_ADDED)
    await settle()
    assert popped.names == ["a", "a"], "its back-off was over long ago"


async def test_after_an_error_the_back_off_doubles_from_1_to_10_seconds(popped: Popped):
    popped.queue.add(make_pod("a"))
    await settle()
    for attempt, seconds in enumerate((1, 2, 4, 8, 10, 10), start=1):
        popped.queue.failed(popped.last, error=True)
        await popped.clock.advance(seconds - 0.1)
        assert len(popped.names) == attempt
        await popped.clock.advance(0.2)
        assert len(popped.names) == attempt + 1


async def test_the_back_off_is_not_waited_for_when_there_is_nothing_else_to_do(popped: Popped):
    popped.queue.add(make_pod("a"))
    await settle()
    popped.queue.failed(popped.last)
    popped.queue.happened(NODE_ADDED)
    await settle()
    assert popped.names == ["a", "a"]


async def test_who_is_not_backing_off_goes_before_who_is():
    queue = SchedulingQueue(VirtualClock())
    queue.add(make_pod("a", priority=10))
    queue.failed(await queue.pop())
    queue.happened(NODE_ADDED)
    queue.add(make_pod("b"))
    assert [(await queue.pop()).pod["metadata"]["name"] for _ in range(2)] == ["b", "a"]
    queue.close()


async def test_only_what_may_help_wakes_a_pod():
    queue = SchedulingQueue(VirtualClock(), lambda waiting, change: change.what in waiting.rejected_by)
    for name, rule in (("a", "node"), ("b", "pod")):
        queue.add(make_pod(name))
        queue.failed(await queue.pop(), frozenset({rule}))
    queue.happened(NODE_ADDED)
    assert (await queue.pop()).pod["metadata"]["name"] == "a"
    queue.happened(Change("pod", make_pod("gone"), None))
    assert (await queue.pop()).pod["metadata"]["name"] == "b"
    queue.close()


async def test_a_change_during_the_attempt_is_not_missed(popped: Popped):
    popped.queue.add(make_pod("a"))
    await settle()
    popped.queue.happened(NODE_ADDED)
    popped.queue.failed(popped.last)
    await popped.clock.advance(1)
    assert popped.names == ["a", "a"]


async def test_a_pod_that_is_gone_is_not_tried_again(popped: Popped):
    popped.queue.add(make_pod("a"))
    await settle()
    popped.queue.failed(popped.last)
    popped.queue.happened(NODE_ADDED)
    popped.queue.remove("uid-a")
    await popped.clock.advance(10)
    assert popped.names == ["a"]


async def test_a_change_of_the_pod_itself_counts_but_not_of_its_status(popped: Popped):
    old = make_pod("a")
    popped.queue.add(old)
    await settle()
    popped.queue.failed(popped.last)
    await popped.clock.advance(5)
    popped.queue.update(old, {**old, "status": {"conditions": []}})
    await settle()
    assert popped.names == ["a"]
    popped.queue.update(old, make_pod("a", tolerations=[{"operator": "Exists"}]))
    await settle()
    assert popped.names == ["a", "a"]


async def test_after_five_minutes_it_is_tried_anyway(popped: Popped):
    flushing = asyncio.ensure_future(popped.queue.flush_forever())
    popped.queue.add(make_pod("a"))
    await settle()
    popped.queue.failed(popped.last)
    await popped.clock.advance(MAX_UNSCHEDULABLE)
    assert popped.names == ["a"]
    await popped.clock.advance(FLUSH_PERIOD)
    assert popped.names == ["a", "a"]
    flushing.cancel()
