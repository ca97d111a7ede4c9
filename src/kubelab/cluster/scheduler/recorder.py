"""The scheduler's events: of the newer kind, with an action, maybe a second object, and a series for what repeats.

Upstream: client-go's tools/events (event_broadcaster.go, event_recorder.go), which the scheduler alone uses here. The
same again becomes a series of two; the series is written again every half an hour, and when it has been over for six
minutes.
"""

from __future__ import annotations

import socket
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, NotFound
from kubelab.cluster.events import EventRecorder, Recent, event_name
from kubelab.cluster.resources import EVENTS
from kubelab.cluster.times import micro_timestamp

Object = dict[str, Any]

FINISH_SECONDS = 6 * 60.0
REFRESH_SECONDS = 30 * 60.0
LONGEST_NOTE = 1024


class Series:
    """Decides for each event: a new one, the second of a series, or one more that is only counted for now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: Recent[tuple[Object, float, float]] = Recent()  # event, last seen, last written (monotonic)

    def correlate(self, event: Object) -> Object | None:
        """The event to write, or None. One with a `series` is there already: patch it."""
        now, key = self._clock.monotonic(), _key(event)
        found = self._known.get(key)
        if found is None or now - found[1] > FINISH_SECONDS:
            self._known.put(key, (event, now, now))
            return event
        first, _, written = found
        count = first.get("series", {}).get("count", 1) + 1
        first["series"] = {"count": count, "lastObservedTime": event["eventTime"]}
        due = count == 2 or now - written >= REFRESH_SECONDS
        self._known.put(key, (first, now, now if due else written))
        return first if due else None


def _key(event: Object) -> tuple[str, ...]:
    """What makes two events the same; their notes may differ."""
    objects = (event["involvedObject"], event.get("related", {}))
    parts = (f"{name}={obj.get(name, '')}" for obj in objects for name in ("kind", "uid", "name", "resourceVersion"))
    return event["type"], event["action"], event["reason"], *parts


class SchedulerEvents(EventRecorder):
    """Writes in the background, as its base does."""

    def __init__(self, client: APIClient, component: str, *, clock: Clock) -> None:
        super().__init__(client, component, clock=clock)
        self._correlator = Series(clock)
        self._instance = f"{component}-{socket.gethostname()}"

    def tell(
        self, obj: Object, type: str, reason: str, action: str, note: str, *, related: Object | None = None
    ) -> None:
        """`action` is what the scheduler did or tried: Binding, Scheduling, Preempting; `related` for whom."""
        now = self._clock.now()
        metadata = obj["metadata"]
        short = note if len(note) <= LONGEST_NOTE else note[: LONGEST_NOTE - 4] + " ..."
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": event_name(metadata["name"], now), "namespace": metadata["namespace"]},
            "involvedObject": _reference(obj),
            **({"related": _reference(related)} if related is not None else {}),
            "reason": reason,
            "message": short,
            "type": type,
            "action": action,
            "eventTime": micro_timestamp(now),
            "firstTimestamp": None,
            "lastTimestamp": None,
            "source": {},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }
        self.put(event)

    async def _send(self, event: Object) -> None:
        if "series" in event:
            metadata = event["metadata"]
            try:
                await self._client.patch(EVENTS, metadata["name"], {"series": event["series"]}, metadata["namespace"])
                return
            except NotFound:
                pass  # its time to live is over: write it anew
        await self._client.create(EVENTS, event)


def _reference(obj: Object) -> Object:
    metadata = obj["metadata"]
    kept = {part: metadata[part] for part in ("namespace", "name", "uid", "resourceVersion") if metadata.get(part)}
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **kept}
