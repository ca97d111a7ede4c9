"""Pods that wait to be scheduled: ready to try (active), tried lately (backoff), or waiting for the cluster to
change.

Upstream: pkg/scheduler/internal/queue/scheduling_queue.go. The back-off is 1 s, doubled by each attempt, at most 10
s; any change that could help moves waiting pods on, and so do five minutes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.pods import is_terminal

Object = dict[str, Any]

INITIAL_BACKOFF = 1.0  # seconds
MAX_BACKOFF = 10.0  # seconds
MAX_UNSCHEDULABLE = 300.0  # seconds
FLUSH_PERIOD = 30.0  # seconds


@dataclass
class Waiting:
    """One pod in the queue: `attempts` so far, and when (monotonic) the last one failed."""

    pod: Object
    attempts: int = 0
    failed_at: float = 0.0
    cycle: int = -1  # the moves of the queue that had happened when its attempt began

    @property
    def uid(self) -> str:
        return self.pod["metadata"]["uid"]

    def backoff(self) -> float:
        return min(INITIAL_BACKOFF * 2 ** min(self.attempts - 1, 16), MAX_BACKOFF) if self.attempts else 0.0


class SchedulingQueue:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._active: list[tuple[int, int, str]] = []  # (-priority, order, UID)
        self._known: dict[str, Waiting] = {}  # every pod that the queue answers for, the one in flight included
        self._backing_off: dict[str, asyncio.Task[None]] = {}
        self._unschedulable: set[str] = set()
        self._order = itertools.count()
        self._moves = 0
        self._not_empty = asyncio.Event()

    def add(self, pod: Object) -> None:
        """A new pod without a node."""
        uid = pod["metadata"]["uid"]
        if uid not in self._known:
            self._known[uid] = Waiting(pod)
            self._activate(uid)

    def update(self, old: Object, new: Object) -> None:
        """The pod changed; if it had been given up and its spec or metadata changed, it deserves another try."""
        uid = new["metadata"]["uid"]
        if uid not in self._known:
            self.add(new)
            return
        self._known[uid].pod = new
        if uid in self._unschedulable and _may_help(old, new):
            self._move(uid)

    def remove(self, uid: str) -> None:
        """The pod is bound, finished or gone."""
        self._known.pop(uid, None)
        self._unschedulable.discard(uid)
        timer = self._backing_off.pop(uid, None)
        if timer is not None:
            timer.cancel()

    async def pop(self) -> Waiting:
        """The next pod to try: highest priority first, then longest waiting. It counts as an attempt."""
        while True:
            while self._active:
                _, _, uid = heapq.heappop(self._active)
                waiting = self._known.get(uid)
                if waiting is not None:
                    waiting.attempts += 1
                    waiting.cycle = self._moves
                    return waiting
            self._not_empty.clear()
            await self._not_empty.wait()

    def failed(self, waiting: Waiting) -> None:
        """The attempt failed: tried again after the back-off where the cluster changed meanwhile, else it waits."""
        if self._known.get(waiting.uid) is not waiting:
            return
        waiting.failed_at = self._clock.monotonic()
        if self._moves > waiting.cycle:
            self._move(waiting.uid)
        else:
            self._unschedulable.add(waiting.uid)

    def move_all(self) -> None:
        """Something changed that may make room: try every waiting pod again, each after its back-off."""
        self._moves += 1
        for uid in list(self._unschedulable):
            self._move(uid)

    async def flush_forever(self) -> None:
        """Try again what has waited for five minutes, in case a change that helps was not seen as one."""
        while True:
            await self._clock.sleep(FLUSH_PERIOD)
            for uid in list(self._unschedulable):
                if self._clock.monotonic() - self._known[uid].failed_at > MAX_UNSCHEDULABLE:
                    self._move(uid)

    def close(self) -> None:
        for timer in self._backing_off.values():
            timer.cancel()
        self._backing_off.clear()

    def _move(self, uid: str) -> None:
        self._unschedulable.discard(uid)
        waiting = self._known[uid]
        remaining = waiting.failed_at + waiting.backoff() - self._clock.monotonic()
        if remaining <= 0:
            self._activate(uid)
        elif uid not in self._backing_off:
            self._backing_off[uid] = asyncio.ensure_future(self._activate_after(uid, remaining))

    async def _activate_after(self, uid: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._backing_off.pop(uid, None)
        if uid in self._known:
            self._activate(uid)

    def _activate(self, uid: str) -> None:
        priority = self._known[uid].pod["spec"].get("priority") or 0
        heapq.heappush(self._active, (-priority, next(self._order), uid))
        self._not_empty.set()


def _may_help(old: Object, new: Object) -> bool:
    """Our own writes of the pod's status are no reason to try again."""
    parts = ("labels", "annotations", "deletionTimestamp")
    changed = any(old["metadata"].get(part) != new["metadata"].get(part) for part in parts)
    return not is_terminal(new) and (changed or old["spec"] != new["spec"])
