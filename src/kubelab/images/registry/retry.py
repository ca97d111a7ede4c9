"""Trying again: which errors pass, how often, and the countdown meanwhile.

moby: distribution/xfer/download.go and upload.go (five attempts, 5 s more before each), distribution/errors.go (what is
not worth another attempt).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kubelab.images.registry.errors import RegistryError
from kubelab.images.registry.progress import Report, line

ATTEMPTS = 5  # dockerd: max-download-attempts
DELAY = 5  # seconds before the second attempt; 10 before the third, and so on

Result = TypeVar("Result")


async def retried(attempt: Callable[[], Awaitable[Result]], report: Report, id: str = "") -> Result:
    """What `attempt()` gives. Raises what its last attempt raised, or the first error that does not pass."""
    for number in range(1, ATTEMPTS + 1):
        try:
            return await attempt()
        except RegistryError as error:
            if not error.passes or number == ATTEMPTS:
                raise
        for left in range(number * DELAY, 0, -1):
            if id:
                await report(line(f"Retrying in {left} second{'s' if left > 1 else ''}", id))
            await second()
    raise AssertionError("unreachable")


async def second() -> None:
    await asyncio.sleep(1)
