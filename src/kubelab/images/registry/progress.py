"""How far a transfer is, in the JSON lines that `docker pull` and `push` print (moby: pkg/progress, jsonmessage)."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

Report = Callable[[dict[str, Any]], Awaitable[None]]  # one line; they come in order
INTERVAL = 0.1  # seconds between two lines of one layer
WIDTH = 50  # characters of a full bar
_UNITS = ("B", "kB", "MB", "GB", "TB")


async def nobody(line: dict[str, Any]) -> None:
    """A report to nobody."""


def line(status: str, id: str = "") -> dict[str, Any]:
    return {"status": status, "progressDetail": {}, "id": id} if id else {"status": status}


class Meter:
    """Tells of one layer's bytes, not more often than every INTERVAL."""

    def __init__(self, report: Report, status: str, id: str, total: int) -> None:
        self._report, self._status, self._id, self._total = report, status, id, total
        self._last = 0.0

    async def at(self, current: int) -> None:
        now = time.monotonic()
        if current < self._total and now - self._last < INTERVAL:
            return
        self._last = now
        detail = {"current": current, "total": self._total}
        bar = {"progress": progress_bar(current, self._total)}
        await self._report({"status": self._status, "progressDetail": detail, **bar, "id": self._id})


def progress_bar(current: int, total: int) -> str:
    """`[=====>      ]     512B/5kB`"""
    if total <= 0:
        return f"{human_size(current):>8}"
    done = min(current * 100 // total // 2, WIDTH)
    numbers = f"{human_size(current):>8}" + (f"/{human_size(total)}" if current <= total else "")
    return f"[{'=' * done}>{' ' * (WIDTH - done)}] {numbers}"


def human_size(size: int) -> str:
    """As go-units prints it: powers of a thousand, four digits."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.4g}{_UNITS[unit]}"
