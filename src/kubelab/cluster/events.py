"""Record Events about objects, many alike as one with a count.

Rules are client-go's tools/record (event.go, events_cache.go): the same event again raises `count` and
`lastTimestamp`; ten that differ only in their message within ten minutes become one "(combined from similar events)";
a source may tell 25 about an object at once and then one every five minutes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from kubelab.clock import Clock, RealClock
from kubelab.cluster.client import APIClient, APIError, NotFound, Unavailable
from kubelab.cluster.resources import EVENTS
from kubelab.cluster.times import timestamp

log = logging.getLogger(__name__)

Object = dict[str, Any]

CACHE_ENTRIES = 4096
AGGREGATE_AFTER = 10  # events that differ only in their message
AGGREGATE_INTERVAL = 600.0  # seconds
SPAM_BURST = 25
SPAM_REFILL = 1 / 300  # events a second
ATTEMPTS = 12  # as maxTriesPerEvent
RETRY_SECONDS = 10.0
QUEUE_LENGTH = 1000

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, size: int = CACHE_ENTRIES) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[str, ...], Value] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> Value | None:
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: tuple[str, ...], value: Value) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)


@dataclass
class Similar:
    """The messages seen for one (source, object, type, reason)."""

    last: float
    messages: set[str] = field(default_factory=set)


@dataclass
class Seen:
    """An event that was told before: where it is kept and how often it happened."""

    name: str
    first: str
    count: int


@dataclass
class Bucket:
    """Tokens left to a source for one object."""

    tokens: float
    at: float


class Correlator:
    """Decides for each event: a new one, one more of an earlier one, or none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._similar: Recent[Similar] = Recent()
        self._seen: Recent[Seen] = Recent()
        self._buckets: Recent[Bucket] = Recent()

    def correlate(self, event: Object) -> Object | None:
        """The event to write, or None to drop it. A `count` above 1 means: it exists under this name, patch it."""
        key = self._aggregate(event)
        seen = self._seen.get(key)
        if seen is None:
            self._seen.put(key, Seen(event["metadata"]["name"], event["firstTimestamp"], 1))
        else:
            seen.count += 1
            event["metadata"]["name"] = seen.name
            event["firstTimestamp"] = seen.first
            event["count"] = seen.count
        return event if self._take_token(event) else None

    def _aggregate(self, event: Object) -> tuple[str, ...]:
        """The key under which the event counts; where too many are alike, its message changes and the key is theirs."""
        now = self._clock.monotonic()
        group = (*_about(event), event["type"], event["reason"])
        similar = self._similar.get(group)
        if similar is None or now - similar.last > AGGREGATE_INTERVAL:
            similar = Similar(now)
            self._similar.put(group, similar)
        similar.last = now
        similar.messages.add(event["message"])
        if len(similar.messages) < AGGREGATE_AFTER:
            return (*group, event["involvedObject"].get("fieldPath", ""), event["message"])
        similar.messages.pop()
        event["message"] = "(combined from similar events): " + event["message"]
        return group

    def _take_token(self, event: Object) -> bool:
        now = self._clock.monotonic()
        bucket = self._buckets.get(_about(event))
        if bucket is None:
            bucket = Bucket(SPAM_BURST, now)
            self._buckets.put(_about(event), bucket)
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.at) * SPAM_REFILL)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _about(event: Object) -> tuple[str, ...]:
    """Who tells of what."""
    source, involved = event["source"], event["involvedObject"]
    what = (involved.get(part, "") for part in ("kind", "namespace", "name", "uid", "apiVersion"))
    return (source["component"], source.get("host", ""), *what)


class EventRecorder:
    """Writes Events in the background, in order; a caller never waits and never fails because of an event.

    `component` is who reports (`kubelet`, `replicaset-controller`, `default-scheduler`), `host` the node it runs on.
    """

    def __init__(self, client: APIClient, component: str, host: str = "", *, clock: Clock | None = None) -> None:
        self._client, self._component, self._host = client, component, host
        self._clock: Clock = clock or RealClock()
        self._correlator = Correlator(self._clock)
        self._queue: asyncio.Queue[Object] = asyncio.Queue(QUEUE_LENGTH)
        self._task: asyncio.Task[None] | None = None

    def event(self, obj: Object, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Tell that something happened to `obj` (it needs apiVersion, kind and metadata).

        `type` is Normal or Warning; `field_path` names a part of it: `spec.containers{app}`.
        """
        self.put(self._make(obj, type, reason, message, field_path))

    def put(self, event: Object) -> None:
        """Have an event written that is whole already."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            log.warning("event dropped, too many wait: %s %s", event["reason"], event["message"])
            return
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"events/{self._component}")

    async def flush(self) -> None:
        """Return when every event told so far is written or dropped."""
        await self._queue.join()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def _make(self, obj: Object, type: str, reason: str, message: str, field_path: str) -> Object:
        now = self._clock.now()
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or ""
        involved = {
            "kind": obj["kind"],
            "apiVersion": obj["apiVersion"],
            "namespace": namespace,
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "resourceVersion": metadata.get("resourceVersion", ""),
            "fieldPath": field_path,
        }
        source = {"component": self._component, "host": self._host}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event_name(metadata["name"], now), "namespace": namespace or "default"},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "reason": reason,
            "message": message,
            "source": {key: value for key, value in source.items() if value},
            "firstTimestamp": timestamp(now),
            "lastTimestamp": timestamp(now),
            "count": 1,
            "type": type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    async def _run(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                correlated = self._correlator.correlate(event)
                if correlated is not None:
                    await self._write(correlated)
            except Exception:
                log.exception("event lost: %s %s", event["reason"], event["message"])
            finally:
                self._queue.task_done()

    async def _write(self, event: Object) -> None:
        """Upstream's rule: try again only where the server did not answer; a refused event is dropped."""
        for _ in range(ATTEMPTS):
            try:
                await self._send(event)
                return
            except Unavailable:
                await self._clock.sleep(RETRY_SECONDS)
            except APIError as error:
                log.info("event refused: %s: %s", event["reason"], error)
                return
        log.warning("event lost, no answer from the API server: %s %s", event["reason"], event["message"])

    async def _send(self, event: Object) -> None:
        if event["count"] > 1:
            patch = {key: event[key] for key in ("count", "lastTimestamp", "message")}
            metadata = event["metadata"]
            try:
                await self._client.patch(EVENTS, metadata["name"], patch, metadata["namespace"])
                return
            except NotFound:
                pass  # its time to live is over: write it anew
        await self._client.create(EVENTS, event)


_numbers = itertools.count()


def event_name(name: str, now: datetime) -> str:
    """`<object>.<nanoseconds in hex>`. Clocks tell microseconds: a count gives the rest, so that two names differ."""
    nanoseconds = int(now.timestamp() * 1e6) * 1000 + next(_numbers) % 1000
    return f"{name}.{nanoseconds:x}"
