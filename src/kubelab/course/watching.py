"""Look at a set of objects as it changes: list once, then watch, with a deadline.

The objects are plain dicts, as in YAML. It is client-go's reflector in small: after a gap (410 Gone) it lists again.
"""

from __future__ import annotations

import atexit
import functools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import urllib3
from kubernetes import watch
from kubernetes.client.rest import ApiException

Object = dict[str, Any]
Snapshot = dict[str, Object]  # by name
READ_TIMEOUT = 5  # seconds after which a watch is opened anew, so that a stop is noticed
FINISH = 3.0  # seconds that the interpreter's end waits for calls under way


class _Calls:
    """The API calls that threads are in, so that none is in one when the interpreter ends.

    The client's methods are checked by pydantic, which is Rust: Python ends a daemon thread by unwinding its stack, and
    a stack with Rust in it is not unwound, the whole process is aborted instead.
    """

    def __init__(self) -> None:
        self._running, self._ended, self._changed = 0, False, threading.Condition()
        atexit.register(self._end)

    def counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """The same method. urllib3's HTTPError: the interpreter ends."""

        @functools.wraps(method)
        def call(*arguments: Any, **options: Any) -> Any:
            with self._changed:
                if self._ended:
                    raise urllib3.exceptions.HTTPError("the kernel ends")
                self._running += 1
            try:
                return method(*arguments, **options)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

        return call

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.wait_for(lambda: not self._running, FINISH)


_calls = _Calls()


def snapshots(
    list_function: Callable[..., Any],
    *arguments: Any,
    stop: threading.Event,
    deadline: float | None = None,
    **options: Any,
) -> Iterator[Snapshot]:
    """The objects by name: at once, and again after each change, until `stop` is set or `deadline` (monotonic) is past.

    After READ_TIMEOUT seconds without a change the same snapshot comes again. `list_function` is a method of the
    `kubernetes` client such as `CoreV1Api.list_namespaced_pod`; ApiException and urllib3's errors are the caller's.
    """
    list_function = _calls.counted(list_function)
    while not _over(stop, deadline):
        listed = json.loads(list_function(*arguments, **options, _preload_content=False).data)
        objects = {item["metadata"]["name"]: item for item in listed["items"]}
        version = listed["metadata"]["resourceVersion"]
        yield dict(objects)
        try:
            while not _over(stop, deadline):
                for event in _events(list_function, arguments, options, version, deadline):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] == "BOOKMARK":
                        continue
                    _take(objects, event)
                    yield dict(objects)
                    if _over(stop, deadline):
                        return
                yield dict(objects)
                stop.wait(0.1)  # a server that ends watches at once is not asked without pause
        except ApiException as error:
            if error.status != 410:
                raise


@dataclass(frozen=True)
class Change:
    """what: PRESENT (found by the first list), ADDED, MODIFIED, DELETED."""

    what: str
    object: Object


def changes(
    list_function: Callable[..., Any],
    *arguments: Any,
    stop: threading.Event,
    known: dict[str, Object] | None = None,
    first: bool = True,
    **options: Any,
) -> Iterator[Change | None]:
    """Every watch event until `stop` is set; `None` whenever a list, or a watch without an event, has come to its end.

    `known` (uid -> object) holds what the caller was told of. Give the same dict again after an error, and `first`
    False: what happened meanwhile is then found by comparing, as it is after a gap (410 Gone).
    """
    known = {} if known is None else known
    list_function = _calls.counted(list_function)
    while not stop.is_set():
        listed = json.loads(list_function(*arguments, **options, _preload_content=False).data)
        version = listed["metadata"]["resourceVersion"]
        yield from _compared(known, listed["items"], "PRESENT" if first else "ADDED")
        yield None
        first = False
        try:
            while not stop.is_set():
                for event in _events(list_function, arguments, options, version, None):
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield _told(known, event["type"], event["object"])
                    if stop.is_set():
                        return
                yield None
                stop.wait(0.1)  # a server that ends watches at once is not asked without pause
        except ApiException as error:
            if error.status != 410:
                raise


def _compared(known: dict[str, Object], found: list[Object], new: str) -> Iterator[Change]:
    """What a list says beyond what is known."""
    there = {_uid(obj): obj for obj in found}
    for uid in [uid for uid in known if uid not in there]:
        yield _told(known, "DELETED", known[uid])
    for uid, obj in there.items():
        if uid not in known:
            yield _told(known, new, obj)
        elif known[uid]["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
            yield _told(known, "MODIFIED", obj)


def _told(known: dict[str, Object], what: str, obj: Object) -> Change:
    if what == "DELETED":
        known.pop(_uid(obj), None)
    else:
        known[_uid(obj)] = obj
    return Change(what, obj)


def _uid(obj: Object) -> str:
    """Not the name: an object that was deleted and made again is another one."""
    return obj["metadata"].get("uid") or obj["metadata"]["name"]


def _over(stop: threading.Event, deadline: float | None) -> bool:
    return stop.is_set() or (deadline is not None and time.monotonic() >= deadline)


def _events(
    list_function: Callable[..., Any], arguments: tuple, options: dict[str, Any], version: str, deadline: float | None
) -> Iterator[dict[str, Any]]:
    """The events of one watch request. It ends when the server or the time says so."""
    seconds = READ_TIMEOUT if deadline is None else min(READ_TIMEOUT, max(0.1, deadline - time.monotonic()))
    watcher = watch.Watch(return_type="object")
    try:
        yield from watcher.stream(
            list_function,
            *arguments,
            **options,
            resource_version=version,
            timeout_seconds=max(1, round(seconds)),
            _request_timeout=(3.0, seconds + 0.5 if deadline is None else seconds),
        )
    except urllib3.exceptions.ReadTimeoutError:
        return  # nothing happened in that time
    finally:
        watcher.stop()


def _take(objects: Snapshot, event: dict[str, Any]) -> None:
    name = event["object"]["metadata"]["name"]
    if event["type"] == "DELETED":
        objects.pop(name, None)
    else:
        objects[name] = event["object"]
