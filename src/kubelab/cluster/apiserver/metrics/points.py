"""Readings over time: usage of CPU is what was used between two of them. Upstream: metrics-server's pkg/storage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LINE = re.compile(r"(\w+)(?:\{([^}]*)\})? (\S+)(?: (\d+))?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
FRESH_MIN, FRESH_MAX = 1.0, 60.0  # seconds: a container younger than this is measured from its start


@dataclass(frozen=True)
class Point:
    """CPU in core-seconds since `start`, memory in bytes, times in seconds."""

    time: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    start: float = 0.0


@dataclass(frozen=True)
class Usage:
    """`cpu` in cores."""

    time: float
    window: float
    cpu: float
    memory: float


PodKey = tuple[str, str]  # namespace, name


@dataclass
class Scrape:
    """One kubelet's answer."""

    node: Point = field(default_factory=Point)
    pods: dict[PodKey, dict[str, Point]] = field(default_factory=dict)


_FIELDS = {"cpu_usage_seconds_total": "cpu", "memory_working_set_bytes": "memory", "start_time_seconds": "start"}


def parse(text: str) -> Scrape:
    """Prometheus' text form of `/metrics/resource`."""
    node: dict[str, float] = {}
    pods: dict[PodKey, dict[str, dict[str, float]]] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        kind, _, rest = match[1].partition("_")
        if kind not in ("node", "container") or rest not in _FIELDS:
            continue
        labels, into = dict(_LABEL.findall(match[2] or "")), node
        if kind == "container":
            into = pods.setdefault((labels["namespace"], labels["pod"]), {}).setdefault(labels["container"], {})
        into[_FIELDS[rest]] = float(match[3])
        if match[4]:
            into["time"] = int(match[4]) / 1000
    found = {key: {name: Point(**values) for name, values in each.items()} for key, each in pods.items()}
    return Scrape(Point(**node), found)


class Points:
    """The last two scrapes of each node."""

    def __init__(self) -> None:
        self._last: dict[str, Scrape] = {}
        self._before: dict[str, Scrape] = {}

    def add(self, node: str, scrape: Scrape) -> None:
        if node in self._last:
            self._before[node] = self._last[node]
        self._last[node] = scrape

    def keep(self, nodes: set[str]) -> None:
        """Forget those that are gone or do not answer."""
        for known in (self._last, self._before):
            for name in known.keys() - nodes:
                del known[name]

    def node(self, name: str) -> Usage | None:
        if name not in self._last or name not in self._before:
            return None
        return _between(self._before[name].node, self._last[name].node)

    def pod(self, key: PodKey) -> dict[str, Usage] | None:
        """Container -> usage; None where not every container can be told."""
        for node, scrape in self._last.items():
            if key not in scrape.pods:
                continue
            before = self._before[node].pods.get(key, {}) if node in self._before else {}
            usages = {name: _container(before.get(name), point) for name, point in scrape.pods[key].items()}
            return None if None in usages.values() else usages  # type: ignore[return-value]
        return None


def _container(before: Point | None, now: Point) -> Usage | None:
    """A container that has begun since the last scrape is measured from its start."""
    if before is not None and before.start == now.start:
        return _between(before, now)
    age = now.time - now.start
    return _between(Point(time=now.start), now) if FRESH_MIN <= age < FRESH_MAX else None


def _between(before: Point, now: Point) -> Usage | None:
    window = now.time - before.time
    if window <= 0 or now.cpu < before.cpu:
        return None
    return Usage(now.time, window, (now.cpu - before.cpu) / window, now.memory)
