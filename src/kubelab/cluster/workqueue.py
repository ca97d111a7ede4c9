"""A queue of keys for a controller: each key once, never in two workers at a time, failed keys ever more slowly.

Rules are client-go's util/workqueue: a key added while it is being worked on is handed out again after `done()`;
a rate-limited key waits 5 ms, doubled by each failure, up to 1000 s.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from kubelab.clock import Clock

BASE_DELAY = 0.005  # seconds
MAX_DELAY = 1000.0  # seconds
_MAX_DOUBLINGS = 32  # past MAX_DELAY whatever the base; keeps the power small

Key = TypeVar("Key", bound=Hashable)


class WorkQueue(Generic[Key]):
    """`key = await queue.get()`, work, `queue.done(key)`. Keys say what to look at, never what happened to it."""

    def __init__(self, clock: Clock, *, base_delay: float = BASE_DELAY, max_delay: float = MAX_DELAY) -> None:
        self._clock = clock
        self._base_delay, self._max_delay = base_delay, max_delay
        self._ready: deque[Key] = deque()  # keys to hand out, in order
        self._dirty: set[Key] = set()  # keys that need work
        self._processing: set[Key] = set()  # keys that a worker holds
        self._failures: dict[Key, int] = {}
        self._waiting: dict[Key, tuple[float, asyncio.Task[None]]] = {}  # when, on the monotonic clock
        self._getters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Ask for work on `key`; a second call before it begins changes nothing."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)
            self._wake()

    def add_after(self, key: Key, seconds: float) -> None:
        """Add `key` in `seconds`; of several calls the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        at = self._clock.monotonic() + seconds
        if key in self._waiting:
            earlier, task = self._waiting[key]
            if earlier <= at:
                return
            task.cancel()
        self._waiting[key] = (at, asyncio.ensure_future(self._add_later(key, seconds)))

    def add_rate_limited(self, key: Key) -> None:
        """Add `key` after a delay that doubles with each call until `forget(key)`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(self._base_delay * 2 ** min(failures, _MAX_DOUBLINGS), self._max_delay))

    def forget(self, key: Key) -> None:
        """The work succeeded: the next failure counts as the first."""
        self._failures.pop(key, None)

    def num_requeues(self, key: Key) -> int:
        return self._failures.get(key, 0)

    async def get(self) -> Key:
        """The next key; the caller owes a `done(key)`."""
        while not self._ready:
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake()  # the key this worker was woken for goes to another
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: Key) -> None:
        """End the work on `key`; if it was added meanwhile it is handed out again."""
        self._processing.discard(key)
        if key in self._dirty:
            self._ready.append(key)
            self._wake()

    def close(self) -> None:
        """Drop the keys that wait for their time; workers are ended by cancelling them."""
        for _, task in self._waiting.values():
            task.cancel()
        self._waiting.clear()

    async def _add_later(self, key: Key, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._waiting.pop(key, None)
        self.add(key)

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
