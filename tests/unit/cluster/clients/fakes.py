"""An API client without a network: lists and watches are what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from kubelab.cluster.client import APIError, Gone, error_from_status

Object = dict[str, Any]


def obj(name: str, version: int, namespace: str = "default", uid: str = "", **parts: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, **parts.pop("metadata", {})}, **parts}


class FakeAPI:
    """Holds objects; `send` is one event of the running watch, `end` closes it, `fail` breaks it."""

    def __init__(self, *objects: Object, version: int = 1) -> None:
        self.objects = {o["metadata"]["name"]: o for o in objects}
        self.version = version
        self.lists = 0
        self.watched_from: list[str] = []
        self.list_errors: list[APIError] = []
        self._events: asyncio.Queue[Any] = asyncio.Queue()

    async def list(self, resource: Any, namespace: str | None = None, **selectors: str) -> Object:
        self.lists += 1
        if self.list_errors:
            raise self.list_errors.pop(0)
        items = [
            {key: value for key, value in o.items() if key not in ("kind", "apiVersion")} for o in self.objects.values()
        ]
        return {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def watch(
        self, resource: Any, namespace: str | None = None, *, resource_version: str, **options: Any
    ) -> AsyncIterator[tuple[str, Object]]:
        self.watched_from.append(resource_version)
        while True:
            event = await self._events.get()
            if event is None:
                return
            if isinstance(event, APIError):
                raise event
            yield event

    def send(self, kind: str, changed: Object) -> None:
        self._events.put_nowait((kind, changed))

    def end(self) -> None:
        self._events.put_nowait(None)

    def fail(self, error: APIError) -> None:
        self._events.put_nowait(error)


def gone() -> Gone:
    error = error_from_status({"code": 410, "reason": "Expired", "message": "too old resource version: 1 (9)"})
    assert isinstance(error, Gone)
    return error
