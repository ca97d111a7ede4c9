"""What the store needs from time to time: old history compacted, old events removed.

Upstream: storage/etcd3/compact.go (every five minutes, what is older than that) and kube-apiserver's `--event-ttl`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from kubelab.cluster import times
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import EVENTS
from kubelab.cluster.store import Store

log = logging.getLogger(__name__)
INTERVAL = 300.0
BATCH = 200  # rows of history that are removed before requests get their turn


async def run(registry: Registry) -> None:
    """Compact to where the store was one interval ago, for ever."""
    while True:
        revision = registry.store.revision
        await registry.clock.sleep(INTERVAL)
        expire_events(registry)
        await compact(registry.store, revision)


async def compact(store: Store, revision: int) -> int:
    """Remove history up to `revision`, a little at a time: requests are answered in between. Returns how much."""
    removed = 0
    while gone := store.compact(revision, BATCH):
        removed += gone
        await asyncio.sleep(0)
    log.debug("compacted to revision %d: %d rows removed", revision, removed)
    return removed


def expire_events(registry: Registry) -> int:
    """Remove events that nothing has touched for the event TTL. Returns how many."""
    oldest = registry.clock.now() - timedelta(seconds=registry.config.event_ttl_seconds)
    count = 0
    for record in registry.records(EVENTS):
        event = record.load()
        seen = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"]
        if times.parse(seen) < oldest:
            registry.remove(EVENTS, record, event)
            count += 1
    return count
