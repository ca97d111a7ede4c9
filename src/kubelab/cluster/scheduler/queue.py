"""Pods that wait to be scheduled: ready to try (active), tried lately (backoff), or waiting for the cluster to
change.

Upstream: pkg/scheduler/backend/queue/scheduling_queue.go. A pod that no node could take waits for a change that may
help it: the rules that rejected it say so (QueueingHint). It then backs off, 1 s doubled by each attempt and at most
10 s, unless the scheduler has nothing better to do (SchedulerPopFromBackoffQ, on since 1.33); after an error it backs
off in any case. After five minutes it is tried without a reason.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.pods import is_terminal
from kubelab.cluster.scheduler.framework import Change

Object = dict[str, Any]
Hint = Callable[["Waiting", Change], bool]

INITIAL_BACKOFF = 1.0  # seconds
MAX_BACKOFF = 10.0  # seconds
MAX_UNSCHEDULABLE = 300.0  # seconds
FLUSH_PERIOD = 30.0  # seconds


@dataclass
class Waiting:
    """One pod in the queue: `attempts` so far, when (monotonic) the last one failed, and the rules that rejected it."""

    pod: Object
    attempts: int = 0
    failed_at: float = 0.0
    rejected_by: frozenset[str] = frozenset()
    in_flight: bool = False
    meanwhile: list[Change] = field(default_factory=list)  # what happened during the attempt
    patient: bool = False  # its back-off has to be waited for

    @property
    def uid(self) -> str:
        return self.pod["metadata"]["uid"]

    @property
    def priority(self) -> int:
        return self.pod["spec"].get("priority") or 0

    def backoff(self) -> float:
        return min(INITIAL_BACKOFF * 2 ** min(self.attempts - 1, 16), MAX_BACKOFF) if self.attempts else 0.0


class SchedulingQueue:
    def __init__(self, clock: Clock, hint: Hint = lambda waiting, change: True) -> None:
        """`hint` says whether a change may help a pod that was rejected."""
        self._clock, self._hint = clock, hint
        self._active: list[tuple[int, int, str]] = []  # (-priority, order, UID)
        self._known: dict[str, Waiting] = {}  # every pod that the queue answers for, the one in flight included
        self._backing_off: dict[str, asyncio.Task[None]] = {}
        self._unschedulable: set[str] = set()
        self._order = itertools.count()
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
            waiting = self._next_active() or self._next_backing_off()
            if waiting is not None:
                waiting.attempts += 1
                waiting.in_flight = True
                waiting.meanwhile.clear()
                return waiting
            self._not_empty.clear()
            await self._not_empty.wait()

    def _next_active(self) -> Waiting | None:
        while self._active:
            _, _, uid = heapq.heappop(self._active)
            if uid in self._known:
                return self._known[uid]
        return None

    def _next_backing_off(self) -> Waiting | None:
        """With nothing else to do there is no reason to wait."""
        ready = [self._known[uid] for uid in self._backing_off if not self._known[uid].patient]
        if not ready:
            return None
        waiting = min(ready, key=lambda w: (-w.priority, w.failed_at))
        self._backing_off.pop(waiting.uid).cancel()
        return waiting

    def failed(self, waiting: Waiting, rejected_by: frozenset[str] = frozenset(), *, error: bool = False) -> None:
        """The attempt failed: tried again after the back-off where something helpful happened meanwhile, or where it
        was an `error`; else it waits.
        """
        if self._known.get(waiting.uid) is not waiting:
            return
        waiting.in_flight, waiting.rejected_by, waiting.patient = False, rejected_by, error
        waiting.failed_at = self._clock.monotonic()
        if error or any(self._hint(waiting, change) for change in waiting.meanwhile):
            self._move(waiting.uid)
        else:
            self._unschedulable.add(waiting.uid)

    def happened(self, change: Change) -> None:
        """The cluster changed: pods that it may help are tried again."""
        for waiting in list(self._known.values()):
            if waiting.in_flight:
                waiting.meanwhile.append(change)
            elif waiting.uid in self._unschedulable and self._hint(waiting, change):
                self._move(waiting.uid)

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
            self._not_empty.set()

    async def _activate_after(self, uid: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._backing_off.pop(uid, None)
        if uid in self._known:
            self._activate(uid)

    def _activate(self, uid: str) -> None:
        heapq.heappush(self._active, (-self._known[uid].priority, next(self._order), uid))
        self._not_empty.set()


def _may_help(old: Object, new: Object) -> bool:
    """Our own writes of the pod's status are no reason to try again."""
    parts = ("labels", "annotations", "deletionTimestamp")
    changed = any(old["metadata"].get(part) != new["metadata"].get(part) for part in parts)
    return not is_terminal(new) and (changed or old["spec"] != new["spec"])
