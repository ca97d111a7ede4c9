"""The engine's events: what `docker events` shows (moby: daemon/events, api/types/events)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

KEPT = 256  # moby's eventsLimit
Event = dict[str, Any]


class EventLog:
    """The last events, and a queue for each who follows."""

    def __init__(self) -> None:
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._followers: set[asyncio.Queue[Event]] = set()

    def publish(self, type: str, action: str, id: str, /, **attributes: str) -> None:
        """Tell that `action` happened to the object `id` of `type` ("image", "container", "network")."""
        now = time.time_ns()
        event: Event = {
            "Type": type,
            "Action": action,
            "Actor": {"ID": id, "Attributes": attributes},
            "scope": "local",
            "time": now // 1_000_000_000,
            "timeNano": now,
        }
        if type in ("image", "container"):
            old_form = {"status": action, "id": id}
            if type == "container" and "image" in attributes:
                old_form["from"] = attributes["image"]
            event = {**old_form, **event}
        self._kept.append(event)
        for queue in self._followers:
            queue.put_nowait(event)

    @property
    def listeners(self) -> int:
        """How many follow it."""
        return len(self._followers)

    async def follow(self, since: float | None, until: float | None) -> AsyncIterator[Event]:
        """Events kept from `since` on (None: none), then each as it comes, up to `until` (seconds since 1970)."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._followers.add(queue)
        try:
            for event in list(self._kept) if since is not None else []:
                if event["timeNano"] / 1e9 >= since and (until is None or event["timeNano"] / 1e9 <= until):
                    yield event
            while True:
                remaining = None if until is None else until - time.time()
                if remaining is not None and remaining <= 0:
                    return
                try:
                    yield await asyncio.wait_for(queue.get(), remaining)
                except TimeoutError:
                    return
        finally:
            self._followers.discard(queue)


def matches(event: Event, filters: dict[str, list[str]]) -> bool:
    """Whether an event passes the filters of `GET /events` (daemon/events/filter.go)."""
    attributes = event["Actor"]["Attributes"]
    names = {event["Actor"]["ID"], attributes.get("name"), attributes.get("image")}
    for key, wanted in filters.items():
        if key in ("event", "type"):
            passes = event["Action" if key == "event" else "Type"] in wanted
        elif key == "label":
            passes = all(_has_label(attributes, label) for label in wanted)
        else:  # container, image, network: by ID or name
            passes = event["Type"] == key and any(
                name in names or event["Actor"]["ID"].startswith(name) for name in wanted
            )
        if not passes:
            return False
    return True


def _has_label(attributes: dict[str, str], label: str) -> bool:
    name, equals, value = label.partition("=")
    return name in attributes and (not equals or attributes[name] == value)
