"""CRI's GetContainerEvents: tells every listener what happened, from the moment it began to listen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from kubelab.runtime.api import ContainerEvent


class Events:
    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[ContainerEvent]] = set()

    def emit(self, type_: str, container_id: str, sandbox_id: str, machine: str) -> None:
        """`type_` is "CREATED", "STARTED", "STOPPED" or "DELETED"; a sandbox's own events carry its ID twice."""
        event = ContainerEvent(f"CONTAINER_{type_}_EVENT", container_id, sandbox_id, machine)
        for queue in self._listeners:
            queue.put_nowait(event)

    @contextlib.contextmanager
    def listen(self) -> Iterator[asyncio.Queue[ContainerEvent]]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
