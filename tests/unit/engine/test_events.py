"""The event log: what is kept, who follows, what the filters let through."""

import asyncio
import time

import pytest

from kubelab.engine.events import KEPT, EventLog, matches


async def collect(events):
    return [event["Action"] async for event in events]


async def test_kept_events_come_first_and_then_new_ones():
    log = EventLog()
    log.publish("image", "old", "1")
    between = time.time()
    log.publish("image", "kept", "2")
    following = asyncio.create_task(collect(log.follow(between, time.time() + 0.3)))
    await asyncio.sleep(0)
    log.publish("image", "new", "3")
    assert await following == ["kept", "new"]


async def test_without_since_only_new_ones():
    log = EventLog()
    log.publish("image", "kept", "1")
    assert await collect(log.follow(None, time.time() + 0.05)) == []


async def test_only_the_last_ones_are_kept():
    log = EventLog()
    for number in range(KEPT + 10):
        log.publish("image", str(number), "x")
    assert await collect(log.follow(0, time.time())) == [str(number) for number in range(10, KEPT + 10)]


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({}, True),
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"event": ["start", "die"]}, True),
        ({"container": ["web"]}, True),
        ({"container": ["abc"]}, True),
        ({"container": ["other"]}, False),
        ({"label": ["a=b"]}, True),
        ({"label": ["a=c"]}, False),
        ({"type": ["container"], "event": ["stop"]}, False),
    ],
)
def test_filters(filters, passes):
    attributes = {"name": "web", "a": "b"}
    event = {"Type": "container", "Action": "start", "Actor": {"ID": "abcdef", "Attributes": attributes}}
    assert matches(event, filters) is passes
