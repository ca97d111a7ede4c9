"""Measured load: for each feature one client that asks again and again, and a record of every answer.

    with Load(lab, {"browse": Request("service/shop:http", "/catalog")}) as load:
        lab.press("crash", pod)
    load.verdicts()

It is bounded: one request at a time for each feature, PER_SECOND of them at most, and it ends with the `with` block.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .api import proxy_path, request
from .errors import LabError

if TYPE_CHECKING:
    from .lab import Lab

PER_SECOND = 8.0  # requests to each feature
LATEST = 1.5  # seconds at the end of the load that decide whether a feature is back
TIMEOUT = 1.0  # seconds after which a request counts as lost


@dataclass(frozen=True)
class Request:
    """What one feature's client asks for. `target` is "service/NAME:PORT" or "pod/NAME"."""

    target: str
    path: str
    method: str = "GET"
    body: Any = None


@dataclass(frozen=True)
class Sample:
    """One request: when it was sent (seconds since the start of the load), whether it was answered well, how fast."""

    at: float
    answered: bool
    seconds: float


@dataclass
class Load:
    """The clients, and after them what they saw: `samples[feature]`, and `marks`, moments that were given a name."""

    lab: Lab
    features: Mapping[str, Request]
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    marks: list[tuple[float, str]] = field(default_factory=list)

    def __enter__(self) -> Load:
        self._api = self.lab.engines.api_client()
        self._stop, self._began = threading.Event(), time.monotonic()
        self.samples = {feature: [] for feature in self.features}
        self._threads = [
            threading.Thread(target=self._ask, args=(name,), name=f"kubelab-load-{name}", daemon=True)
            for name in self.features
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._api.close()

    def mark(self, name: str) -> None:
        """Remember this moment, for the plot."""
        self.marks.append((time.monotonic() - self._began, name))

    def keep_on(self, seconds: float) -> None:
        """Let the clients ask for a while, and nothing else happen."""
        self._stop.wait(seconds)

    def _ask(self, feature: str) -> None:
        wanted = self.features[feature]
        path = proxy_path(self.lab.namespace, wanted.target, wanted.path)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                answered = request(self._api, wanted.method, path, wanted.body, timeout=TIMEOUT).ok
            except (LabError, TimeoutError):
                answered = False
            took = time.monotonic() - began
            self.samples[feature].append(Sample(began - self._began, answered, took))
            self._stop.wait(max(0.0, 1 / PER_SECOND - took))

    def rate(self, feature: str) -> float:
        """The share of requests that were answered well, 0 to 1; 1 where none was made."""
        samples = self.samples[feature]
        return sum(sample.answered for sample in samples) / len(samples) if samples else 1.0

    def lost(self, feature: str) -> int:
        return sum(not sample.answered for sample in self.samples[feature])

    def outage(self, feature: str) -> float:
        """Seconds from the first lost request to the end of the last one; 0 where none was lost."""
        lost = [sample for sample in self.samples[feature] if not sample.answered]
        return lost[-1].at + lost[-1].seconds - lost[0].at if lost else 0.0

    def seconds_between(self, first: str, second: str) -> float:
        """Seconds from the first mark of one name to the first of another."""
        at = {name: moment for moment, name in reversed(self.marks)}
        return at[second] - at[first]

    def verdicts(self) -> dict[str, str]:
        """For each feature, in words that are the same in every run: what became of its requests."""
        return {feature: self._verdict(samples) for feature, samples in self.samples.items()}

    def _verdict(self, samples: list[Sample]) -> str:
        if all(sample.answered for sample in samples):
            return "all answered"
        latest = [sample.answered for sample in samples if sample.at >= samples[-1].at - LATEST]
        return "lost for a while" if any(latest) else "lost to the end"
