"""Old events go after their time to live, old history after an interval."""

from __future__ import annotations

import asyncio

import pytest

from kubelab.cluster.apiserver import housekeeping
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import EVENTS
from kubelab.cluster.store import CompactedError


def event(registry: Registry, name: str) -> None:
    involved = {"kind": "Pod", "namespace": "default", "name": "p"}
    obj = {"metadata": {"name": name}, "involvedObject": involved, "lastTimestamp": registry.now()}
    registry.create(EVENTS, obj, "default")


async def test_events_expire_and_history_is_compacted(registry: Registry):
    event(registry, "old")
    task = asyncio.ensure_future(housekeeping.run(registry))
    await registry.clock.advance(3300)
    event(registry, "young")
    await registry.clock.advance(600)
    task.cancel()

    assert [record.key for record in registry.records(EVENTS)] == ["/registry/events/default/young"]
    with pytest.raises(CompactedError):
        registry.store.watch("/registry/events/", after=1)
