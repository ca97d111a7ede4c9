"""WATCH: a stream of JSON lines that begins exactly where the client's list ended.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/watch.go and storage/cacher. With a selector, an object
that begins to match is ADDED for this client and one that ceases to is DELETED.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.query import ListOptions, selector
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.render import Renderer
from kubelab.cluster.fanout import WatchEndedError, Watcher
from kubelab.cluster.resources import Resource
from kubelab.cluster.store import ADDED, DELETED, MODIFIED, Change, CompactedError

BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0  # before the end, so that the next watch begins as late as it can
MIN_TIMEOUT = (
    1800.0  # kube-apiserver's --min-request-timeout: without timeoutSeconds a watch ends after 30 to 60 minutes
)
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Selector = Callable[[dict[str, Any]], bool]


class Watch:
    """One client's watch. Making it takes the place in the log; `chunks()` is what to send."""

    def __init__(
        self, registry: Registry, resource: Resource, namespace: str, options: ListOptions, renderer: Renderer
    ):
        """Raises 400 or 504 before the stream begins; what is compacted is told in the stream, as upstream does it."""
        self._registry, self._resource, self._options, self._renderer = registry, resource, options, renderer
        self._selected: Selector | None = selector(options, resource) if options.selects else None
        self._expired = b""
        self._watcher = self._subscribe(namespace)
        self._initial = self._snapshot(namespace) if self._watcher else []

    def _subscribe(self, namespace: str) -> Watcher[Change] | None:
        store, options = self._registry.store, self._options
        asked = options.resource_version or 0
        if asked > store.revision:
            raise errors.too_large_resource_version(asked, store.revision)
        after = asked if asked and not options.send_initial_events else store.revision
        try:
            return store.watch(self._registry.prefix(self._resource, namespace), after)
        except CompactedError as error:
            self._expired = b'{"type":"ERROR","object":' + orjson.dumps(errors.gone(str(error)).body) + b"}\n"
            return None

    def _snapshot(self, namespace: str) -> list[bytes]:
        """Without a revision (or "0") a watch begins with every object as ADDED."""
        if self._options.resource_version and not self._options.send_initial_events:
            return []
        records = self._registry.records(self._resource, namespace)
        chosen = [r for r in records if self._selected is None or self._selected(r.load())]
        events = [self._event(ADDED, record.value) for record in chosen]
        if self._options.send_initial_events and self._options.bookmarks:
            events.append(self._bookmark({INITIAL_EVENTS_END: "true"}))
        return events

    async def chunks(self) -> AsyncIterator[bytes]:
        """Bytes to send, until the time is over or the client has fallen too far behind."""
        if self._watcher is None:
            yield self._expired
            return
        loop = asyncio.get_running_loop()
        timeout = self._options.timeout_seconds or random.uniform(MIN_TIMEOUT, 2 * MIN_TIMEOUT)
        end = loop.time() + timeout
        bookmark = _next_bookmark(loop.time(), end)
        with self._watcher as watcher:
            if self._initial:
                yield b"".join(self._initial)
                self._initial = []
            while (now := loop.time()) < end:
                try:
                    changes = await watcher.batch(max(0.0, min(end, bookmark) - now))
                except WatchEndedError:
                    return
                lines = b"".join(filter(None, map(self._line, changes)))
                if loop.time() >= bookmark:
                    bookmark = _next_bookmark(loop.time(), end)
                    # Beside what it follows, and made before anything else can run: later it would speak of changes
                    # that are still in the queue, and a client that begins again from it would never see them.
                    lines += self._bookmark() if self._options.bookmarks else b""
                if lines:
                    yield lines

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.__exit__()

    def _line(self, change: Change) -> bytes | None:
        """The event as this client's selector sees it; None where it is none of its business."""
        if self._selected is None:
            return self._event(change.type, change.value)
        before = change.old is not None and self._selected(change.old)
        after = change.type != DELETED and self._selected(change.object)
        if after:
            return self._event(MODIFIED if before else ADDED, change.value)
        if not before or change.old is None:
            return None
        if change.type == DELETED:
            return self._event(DELETED, change.value)
        # It left the selection: the client gets the state that it knows, with the revision at which it left.
        gone = {**change.old, "metadata": {**change.old["metadata"], "resourceVersion": str(change.revision)}}
        return self._event(DELETED, orjson.dumps(gone))

    def _event(self, kind: str, value: bytes) -> bytes:
        return b'{"type":"' + kind.encode() + b'","object":' + self._renderer.one(value) + b"}\n"

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        meta: dict[str, Any] = {"resourceVersion": str(self._registry.store.revision)}
        if annotations:
            meta["annotations"] = annotations
        obj = {
            "kind": self._renderer.resource.kind,
            "apiVersion": self._renderer.resource.api_version,
            "metadata": meta,
        }
        return b'{"type":"BOOKMARK","object":' + orjson.dumps(obj) + b"}\n"


def _next_bookmark(now: float, end: float) -> float:
    """Upstream: nextBookmarkTime in storage/cacher/cache_watcher.go."""
    last = end - LAST_BOOKMARK_SECONDS
    return last if now < last < now + BOOKMARK_SECONDS else now + BOOKMARK_SECONDS
