"""Waiting for whichever comes first: something to do, or a time. Every loop of the kubelet stands in one of these."""

from __future__ import annotations

import asyncio
import contextlib

from kubelab.clock import Clock


class Alarm:
    """A bell that others ring and one task waits for; rings that come while nobody waits count as one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bell = asyncio.Event()

    def ring(self) -> None:
        self._bell.set()

    async def wait(self, deadline: float | None = None) -> bool:
        """True when it was rung, False when the clock's monotonic time reached `deadline` first."""
        if deadline is not None and not self._bell.is_set():
            await self._until(deadline)
        else:
            await self._bell.wait()
        rung = self._bell.is_set()
        self._bell.clear()
        return rung

    async def _until(self, deadline: float) -> None:
        bell = asyncio.ensure_future(self._bell.wait())
        timer = asyncio.ensure_future(self._clock.sleep(deadline - self._clock.monotonic()))
        try:
            await asyncio.wait({bell, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (bell, timer):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
