"""What every controller is: handlers that put keys on a queue, workers that bring the object behind a key to its spec.

Upstream: the loop that each controller under pkg/controller repeats (`Run`, `worker`, `processNextWorkItem`).
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, Conflict, Unavailable
from kubelab.cluster.controllers.config import ControllerConfig
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.informer import Informers, Key, key_of
from kubelab.cluster.workqueue import WorkQueue

log = logging.getLogger(__name__)

Object = dict[str, Any]


@dataclass
class Context:
    """What the controllers of one process share."""

    client: APIClient
    informers: Informers
    clock: Clock
    config: ControllerConfig = field(default_factory=ControllerConfig)
    recorders: list[EventRecorder] = field(default_factory=list)

    def recorder(self, component: str) -> EventRecorder:
        """Tells events in the name of `component`, until `stop()`."""
        self.recorders.append(EventRecorder(self.client, component, clock=self.clock))
        return self.recorders[-1]

    async def stop(self) -> None:
        """End what was started for the controllers: informers and recorders."""
        await self.informers.stop()
        for recorder in self.recorders:
            await recorder.stop()


class Controller(ABC):
    """`sync(key)` reads caches, writes through the API, and may raise: the key then comes back, ever more slowly.

    A subclass registers its handlers in `__init__`, so that nothing is missed when the informers start.
    """

    name: ClassVar[str]
    workers: ClassVar[int] = 5

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client, self.clock = context.client, context.clock
        self.queue: WorkQueue[Key] = WorkQueue(context.clock)

    def enqueue(self, obj: Object) -> None:
        self.queue.add(key_of(obj))

    @abstractmethod
    async def sync(self, key: Key) -> None:
        """Bring the object to what its spec says; `key` is (namespace, name) and may name an object that is gone."""

    async def run(self) -> None:
        """Work until cancelled. Whoever runs this starts the informers; work begins when they have synced."""
        await self.context.informers.synced()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.workers):
                    group.create_task(self._work())
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self.sync(key)
                self.queue.forget(key)
            except APIError as error:
                # Somebody else was first, or the API server is away for a moment: trying again is the whole answer.
                level = logging.DEBUG if isinstance(error, (Conflict, Unavailable)) else logging.INFO
                log.log(level, "%s: %s: %s", self.name, "/".join(key).lstrip("/"), error)
                self.queue.add_rate_limited(key)
            except Exception:
                log.exception("%s: %s", self.name, "/".join(key).lstrip("/"))
                self.queue.add_rate_limited(key)
            finally:
                self.queue.done(key)
