"""Changes handed out to many watches, each with a bounded queue of its own.

After k3s-io/kine's broadcaster, with upstream's rule for slow watchers (`cacheWatcher` in kubernetes/kubernetes,
staging/src/k8s.io/apiserver/pkg/storage/cacher): who does not keep up is cut off, and costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar


class Keyed(Protocol):
    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=Keyed)


class WatchEndedError(Exception):
    """No more changes will come: the watcher fell behind (`slow`), or the store was closed."""

    def __init__(self, slow: bool) -> None:
        super().__init__("the watch fell too far behind" if slow else "the store is closed")
        self.slow = slow


class Watcher(Generic[T]):
    """One watch: `await batch()` for what is next. Use it as a context manager, so that it is taken off the list."""

    def __init__(self, fanout: Fanout[T], prefix: str, history: Iterable[T], limit: int) -> None:
        self._fanout, self.prefix, self._limit = fanout, prefix, limit
        self._history = deque(history)
        self._live: deque[T] = deque()
        self._wake = asyncio.Event()
        self._ended: WatchEndedError | None = None
        if self._history:
            self._wake.set()

    def __enter__(self) -> Watcher[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self._fanout.unsubscribe(self)

    def push(self, change: T) -> None:
        if len(self._live) >= self._limit:
            self.end(slow=True)
            return
        self._live.append(change)
        self._wake.set()

    def end(self, *, slow: bool) -> None:
        self._ended = self._ended or WatchEndedError(slow)
        self._fanout.unsubscribe(self)
        self._wake.set()

    async def batch(self, seconds: float | None = None) -> list[T]:
        """All changes that wait here, at least one; an empty list after `seconds` without any.

        Raises WatchEndedError once everything that was queued before the end has been handed out.
        """
        if not self._wake.is_set():
            try:
                await asyncio.wait_for(self._wake.wait(), seconds)
            except TimeoutError:
                return []
        changes = [*self._history, *self._live]
        self._history.clear()
        self._live.clear()
        if not changes and self._ended is not None:
            raise self._ended
        if self._ended is None:
            self._wake.clear()
        return changes


class Fanout(Generic[T]):
    """The list of watches; `publish` never waits."""

    def __init__(self) -> None:
        self._watchers: set[Watcher[T]] = set()

    def subscribe(self, prefix: str, history: Iterable[T], limit: int) -> Watcher[T]:
        watcher = Watcher(self, prefix, history, limit)
        self._watchers.add(watcher)
        return watcher

    def unsubscribe(self, watcher: Watcher[T]) -> None:
        self._watchers.discard(watcher)

    def publish(self, change: T) -> None:
        for watcher in [w for w in self._watchers if change.key.startswith(w.prefix)]:
            watcher.push(change)

    def close(self) -> None:
        for watcher in list(self._watchers):
            watcher.end(slow=False)
