"""Health checks: HEALTHCHECK of the image and `--health-*`, run in the container and judged as dockerd does.

Upstream: moby's daemon/health.go. The first result comes after one interval; `Retries` failures in a row make a
container unhealthy, one success healthy; failures within the start period do not count.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubelab.clock import Clock
from kubelab.engine.errors import DockerError
from kubelab.runtime.logs import timestamp

logger = logging.getLogger(__name__)
Fields = dict[str, Any]

SECOND = 1_000_000_000
MINIMUM = 1_000_000  # nanoseconds
DEFAULTS = {
    "Interval": 30 * SECOND,
    "Timeout": 30 * SECOND,
    "StartPeriod": 0,
    "StartInterval": 5 * SECOND,
    "Retries": 3,
}
KEPT, MOST_OUTPUT = 5, 4096
TIMED_OUT = -1  # exit code of a probe that took too long
SHELL = ["/bin/sh", "-c"]


def check(asked: Fields) -> None:
    """Raises DockerError 400."""
    for name in ("Interval", "Timeout", "StartPeriod", "StartInterval"):
        if asked.get(name) and asked[name] < MINIMUM:
            raise DockerError(400, f"{name} in Healthcheck cannot be less than 1ms")
    if (asked.get("Retries") or 0) < 0:
        raise DockerError(400, "Retries in Healthcheck cannot be negative")


def merge(given: Fields | None, image: Fields | None) -> Fields:
    """{"Healthcheck": …} of a container, {} where there is none: what a request leaves out is the image's."""
    if not given or not given.get("Test"):
        found = {**(image or {}), **{name: value for name, value in (given or {}).items() if value}}
    else:
        found = {**{n: v for n, v in (image or {}).items() if n != "Test"}, **{n: v for n, v in given.items() if v}}
    return {"Healthcheck": found} if found.get("Test") else {}


def command(config: Fields) -> list[str]:
    """The probe's argv, [] where there is none."""
    kind, *words = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind == "CMD":
        return words
    if kind == "CMD-SHELL":
        return [*(config.get("Shell") or SHELL), " ".join(words)]
    return []


@dataclass(frozen=True)
class Result:
    """Of one probe; times are RFC 3339."""

    start: str
    end: str
    exit_code: int
    output: str

    def shown(self) -> Fields:
        return {"Start": self.start, "End": self.end, "ExitCode": self.exit_code, "Output": self.output}


Run = Callable[[list[str], float], Awaitable[tuple[int, bytes]]]  # argv, timeout in seconds; TimeoutError


class Monitor:
    """Probes one running container until it is cancelled. `state` is what `docker inspect` shows as State.Health."""

    def __init__(self, config: Fields, run: Run, changed: Callable[[str], Awaitable[None]], clock: Clock) -> None:
        asked = config.get("Healthcheck") or {}
        times = {name: asked.get(name) or default for name, default in DEFAULTS.items()}
        self._interval, self._timeout, self._start_period, self._start_interval = (
            times[name] / SECOND for name in ("Interval", "Timeout", "StartPeriod", "StartInterval")
        )
        self._retries, self._argv = times["Retries"], command(config)
        self._run, self._changed, self._clock = run, changed, clock
        self.state: Fields = {"Status": "starting", "FailingStreak": 0, "Log": []}

    async def watch(self) -> None:
        begun = self._clock.monotonic()
        while True:
            starting = self.state["Status"] == "starting" and self._clock.monotonic() - begun < self._start_period
            await self._clock.sleep(min(self._start_interval, self._interval) if starting else self._interval)
            result = await self._probe()
            starting = self.state["Status"] == "starting" and self._clock.monotonic() - begun < self._start_period
            await self._judge(result, starting=starting)

    async def _probe(self) -> Result:
        start = timestamp()
        try:
            code, output = await self._run(self._argv, self._timeout)
        except TimeoutError:
            code, output = TIMED_OUT, f"Health check exceeded timeout ({_seconds(self._timeout)})".encode()
        except Exception as error:
            code, output = TIMED_OUT, str(error).encode()
        text = output.decode(errors="replace")
        return Result(start, timestamp(), code, text[:MOST_OUTPUT] + ("..." if len(text) > MOST_OUTPUT else ""))

    async def _judge(self, result: Result, *, starting: bool) -> None:
        state, before = self.state, self.state["Status"]
        state["Log"] = [*state["Log"], result.shown()][-KEPT:]
        if result.exit_code == 0:
            state["FailingStreak"], state["Status"] = 0, "healthy"
        elif not starting:
            state["FailingStreak"] += 1
            if state["FailingStreak"] >= self._retries:
                state["Status"] = "unhealthy"
        await self._changed(state["Status"] if state["Status"] != before else "")


def _seconds(value: float) -> str:
    """As Go prints a duration."""
    return (
        f"{value * 1000:g}ms" if value < 1 else f"{int(value // 60)}m{value % 60:g}s" if value >= 60 else f"{value:g}s"
    )
