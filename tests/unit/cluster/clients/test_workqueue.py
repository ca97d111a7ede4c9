"""The work queue: each key once, never twice at a time, failures ever more slowly."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.clock import VirtualClock, settle
from kubelab.cluster.workqueue import WorkQueue


def make() -> tuple[VirtualClock, WorkQueue[str]]:
    clock = VirtualClock()
    return clock, WorkQueue(clock)


async def test_a_key_is_handed_out_once_however_often_it_was_added():
    _, queue = make()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_when_done():
    _, queue = make()
    queue.add("a")
    await queue.get()
    queue.add("a")
    assert len(queue) == 0, "not two workers on one key"
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_workers_wait_for_keys():
    _, queue = make()
    waiting = asyncio.ensure_future(queue.get())
    await settle()
    assert not waiting.done()
    queue.add("a")
    assert await waiting == "a"


async def test_a_cancelled_worker_loses_no_key():
    _, queue = make()
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    assert await second == "a"


async def test_of_several_delays_the_earliest_counts():
    clock, queue = make()
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    queue.add_after("a", 5)
    await clock.advance(1.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.get() == "a"
    queue.done("a")
    await clock.advance(20)
    assert len(queue) == 0


async def test_failures_double_the_delay_from_5_ms_to_1000_s():
    clock, queue = make()
    delays = []
    for _ in range(20):
        began = clock.monotonic()
        queue.add_rate_limited("a")
        getting = asyncio.ensure_future(queue.get())
        while not getting.done():
            await clock.advance(0.005 if clock.monotonic() - began < 1 else 1)
        queue.done(getting.result())
        delays.append(clock.monotonic() - began)
    assert delays[:4] == pytest.approx([0.005, 0.01, 0.02, 0.04], abs=0.006)
    assert delays[-1] == pytest.approx(1000, abs=1)
    assert queue.num_requeues("a") == 20
    queue.forget("a")
    queue.add_rate_limited("a")
    await clock.advance(0.005)
    assert len(queue) == 1


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.sampled_from("abc")), max_size=60))
def test_no_key_is_lost_or_worked_on_twice(steps: list[tuple[str, str]]):
    """Whatever the order: a key added after its work began is handed out again, and one key has one worker."""

    async def play() -> None:
        _, queue = make()
        owed: set[str] = set()  # keys added since they were last handed out
        held: set[str] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key)
                owed.add(key)
            elif step == "get" and len(queue):
                got = await queue.get()
                assert got in owed and got not in held
                owed.discard(got)
                held.add(got)
            elif step == "done" and key in held:
                queue.done(key)
                held.discard(key)
        for key in list(held):
            queue.done(key)
        assert len(queue) == len(owed)

    asyncio.run(play())
