"""List, then watch, into a cache that everyone on this side reads; tell handlers what changed.

The parts are client-go's: the reflector (tools/cache/reflector.go: list, watch from the list's version, list again
on 410) and the indexed store (tools/cache/thread_safe_store.go). There is no periodic resync.

**Objects from an informer are shared and read-only.** Nothing is copied on the way in or out; whoever wants to change
one builds a new dict.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab.clock import Clock, RealClock
from kubelab.cluster.client import APIClient, APIError, Gone

if TYPE_CHECKING:
    from kubelab.cluster.resources import Resource

log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]  # (namespace, name); the namespace of a cluster-scoped object is ""
IndexFunction = Callable[[Object], Iterable[str]]

# Shorter than upstream's 0.8 s to 30 s: the API server is on this machine and comes back within a second.
RETRY_FIRST, RETRY_MOST = 0.1, 5.0  # seconds


def key_of(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _version(obj: Object) -> int:
    return int(obj["metadata"]["resourceVersion"])


@dataclass(frozen=True)
class Handlers:
    on_add: Callable[[Object], None] | None
    on_update: Callable[[Object, Object], None] | None
    on_delete: Callable[[Object], None] | None


class Store:
    """Objects by (namespace, name), by namespace, and by the indexes asked for."""

    def __init__(self, indexers: Mapping[str, IndexFunction]) -> None:
        self._indexers = dict(indexers)
        self._objects: dict[Key, Object] = {}
        self._namespaces: dict[str, dict[str, Object]] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {name: {} for name in indexers}

    def get(self, key: Key) -> Object | None:
        return self._objects.get(key)

    def keys_not_in(self, others: Mapping[Key, Object]) -> list[Key]:
        return list(self._objects.keys() - others.keys())

    def list(self, namespace: str | None) -> list[Object]:
        return list((self._objects if namespace is None else self._namespaces.get(namespace, {})).values())

    def by_index(self, name: str, value: str) -> list[Object]:
        return list(self._indexes[name].get(value, {}).values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        self._indexers[name] = function
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._index(name, key, obj)

    def put(self, key: Key, obj: Object) -> Object | None:
        """Set, and return what was there before."""
        old = self.remove(key)
        self._objects[key] = obj
        self._namespaces.setdefault(key[0], {})[key[1]] = obj
        for name in self._indexers:
            self._index(name, key, obj)
        return old

    def remove(self, key: Key) -> Object | None:
        old = self._objects.pop(key, None)
        if old is None:
            return None
        _drop(self._namespaces, key[0], key[1])
        for name, function in self._indexers.items():
            for value in function(old):
                _drop(self._indexes[name], value, key)
        return old

    def _index(self, name: str, key: Key, obj: Object) -> None:
        for value in self._indexers[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj


def _drop(index: dict[str, dict[Any, Object]], value: str, key: Any) -> None:
    entries = index.get(value)
    if entries is not None:
        entries.pop(key, None)
        if not entries:
            del index[value]


class Informer:
    """A cache of one resource (of one namespace, or of those that the selectors match).

    Handlers are plain functions called in the order of the changes, after the cache has changed; they must not block:
    they put a key on a WorkQueue. An object that was deleted and created again while no watch ran is told as an update
    with another UID.
    """

    def __init__(
        self,
        client: APIClient,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        indexers: Mapping[str, IndexFunction] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.resource = resource
        self._client, self._namespace = client, namespace
        self._selectors = {"label_selector": label_selector, "field_selector": field_selector}
        self._clock: Clock = clock or RealClock()
        self._store = Store(indexers or {})
        self._handlers: list[Handlers] = []
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.resource_version = ""

    # -- reading

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._store.get((namespace or "", name))

    def list(self, namespace: str | None = None) -> list[Object]:
        return self._store.list(namespace)

    def by_index(self, name: str, value: str) -> list[Object]:
        """Objects for which the indexer `name` gave `value`."""
        return self._store.by_index(name, value)

    # -- setting up

    def add_handler(
        self,
        on_add: Callable[[Object], None] | None = None,
        on_update: Callable[[Object, Object], None] | None = None,
        on_delete: Callable[[Object], None] | None = None,
    ) -> None:
        """Call these from now on; what is in the cache already is told through `on_add` at once."""
        self._handlers.append(Handlers(on_add, on_update, on_delete))
        if on_add:
            for obj in self._store.list(None):
                on_add(obj)

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Index by the strings that `function(object)` gives; for `by_index(name, string)`."""
        self._store.add_index(name, function)

    async def start(self) -> None:
        """Begin to list and watch in a task of its own; `synced()` waits for the first list. Again: does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer/{self.resource.plural}")

    async def synced(self) -> None:
        """Return once the cache holds everything that the first list had."""
        await self._synced.wait()

    @property
    def has_synced(self) -> bool:
        return self._synced.is_set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def wrote(self, obj: Object) -> None:
        """Take over the answer to a write of this process's own, ahead of the watch, which will bring it too.

        So nobody here acts on what it has itself replaced. That is sound because versions count the whole store's
        changes: an answer that is not newer than the watch's place has been shown, or followed by its deletion.
        """
        if self.resource_version and _version(obj) > int(self.resource_version):
            self._put(key_of(obj), self._typed(obj))

    # -- the reflector

    async def _run(self) -> None:
        delay = RETRY_FIRST
        while True:
            try:
                if not self.resource_version:
                    await self._relist()
                if await self._watch():
                    delay = RETRY_FIRST
                    continue
            except APIError as error:
                if isinstance(error, Gone) or error.has_cause("ResourceVersionTooLarge"):
                    self.resource_version = ""  # compacted away, or the store behind the server is another one
                log.info("%s: %s; trying again in %.1f s", self.resource.plural, error, delay)
            except Exception:
                self.resource_version = ""  # what was seen of it is uncertain: only a list makes the cache right again
                log.exception("%s: listing again in %.1f s", self.resource.plural, delay)
            await self._clock.sleep(delay)
            delay = min(delay * 2, RETRY_MOST)

    async def _watch(self) -> bool:
        """Follow one watch to its end; whether it brought anything."""
        useful = False
        async for event, obj in self._client.watch(
            self.resource, self._namespace, resource_version=self.resource_version, bookmarks=True, **self._selectors
        ):
            useful = True
            self._apply(event, obj)
        return useful

    async def _relist(self) -> None:
        """Make the cache equal to a fresh list, telling handlers the difference."""
        answer = await self._client.list(self.resource, self._namespace, **self._selectors)
        fresh = {key_of(obj): self._typed(obj) for obj in answer["items"]}
        for key in self._store.keys_not_in(fresh):
            self._remove(key, None)
        for key, obj in fresh.items():
            known = self._store.get(key)
            if known is None or known["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                self._put(key, obj)
        self.resource_version = answer["metadata"]["resourceVersion"]
        self._synced.set()

    def _typed(self, obj: Object) -> Object:
        """Items of a List carry no kind of their own; events and owner references need one."""
        if "kind" not in obj:
            obj["kind"] = self.resource.kind
            obj["apiVersion"] = self.resource.api_version
        return obj

    def _apply(self, event: str, obj: Object) -> None:
        if event in ("ADDED", "MODIFIED"):
            known = self._store.get(key_of(obj))
            if known is None or _version(known) < _version(obj):  # else `wrote` was first
                self._put(key_of(obj), self._typed(obj))
        elif event == "DELETED":
            self._remove(key_of(obj), self._typed(obj))
        self.resource_version = obj["metadata"]["resourceVersion"]

    def _put(self, key: Key, obj: Object) -> None:
        old = self._store.put(key, obj)
        for handlers in self._handlers:
            if old is None:
                self._call(handlers.on_add, obj)
            else:
                self._call(handlers.on_update, old, obj)

    def _remove(self, key: Key, last: Object | None) -> None:
        old = self._store.remove(key)
        if old is not None:
            for handlers in self._handlers:
                self._call(handlers.on_delete, last or old)

    def _call(self, handler: Callable[..., None] | None, *objects: Object) -> None:
        """One handler's mistake must not end the cache for all."""
        if handler is None:
            return
        try:
            handler(*objects)
        except Exception:
            log.exception("handler of %s failed", self.resource.plural)


class Informers:
    """One informer a resource, shared by all that ask (client-go's SharedInformerFactory).

    What is written through `client` is in the caches when the call returns. Upstream controllers meet their own writes
    as conflicts instead, and try again.
    """

    def __init__(self, client: APIClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._informers: dict[Resource, Informer] = {}
        client.on_write = self._wrote

    def of(self, resource: Resource) -> Informer:
        """The informer of every object of `resource`; it lists and watches after `start()`."""
        if resource not in self._informers:
            self._informers[resource] = Informer(self._client, resource, clock=self._clock)
        return self._informers[resource]

    def _wrote(self, resource: Resource, obj: Object) -> None:
        if resource in self._informers:
            self._informers[resource].wrote(obj)

    async def start(self) -> None:
        """Start those that were asked for and not yet started."""
        for informer in self._informers.values():
            await informer.start()

    async def synced(self) -> None:
        for informer in self._informers.values():
            await informer.synced()

    async def stop(self) -> None:
        for informer in self._informers.values():
            await informer.stop()
