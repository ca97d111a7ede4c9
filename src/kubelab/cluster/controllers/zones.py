"""Zones in trouble: how fast nodes may be given up, and when none is, because the trouble is elsewhere.

Upstream: handleDisruption, setLimiterInZone and ComputeZoneState in
pkg/controller/nodelifecycle/node_lifecycle_controller.go. A zone where all nodes are silent, or most of them, points
to its network rather than to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubelab.cluster.pods import is_ready

Object = dict[str, Any]

NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"
REGION_LABEL, ZONE_LABEL = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
PERIOD = 10.0  # seconds between two nodes that are given up (0.1 a second)
LARGE_ZONE, SLOW_PERIOD = 50, 100.0  # a partly disrupted zone larger than that goes on, slowly; a smaller one stops
UNHEALTHY_SHARE = 0.55


def zone_of(node: Object) -> str:
    labels = node["metadata"].get("labels") or {}
    return f"{labels.get(REGION_LABEL, '')}:{labels.get(ZONE_LABEL, '')}"


def state_of(nodes: list[Object]) -> str:
    unready = sum(not is_ready(node) for node in nodes)
    if unready and unready == len(nodes):
        return FULL
    return PARTIAL if unready > 2 and unready >= UNHEALTHY_SHARE * len(nodes) else NORMAL


class Zones:
    """Knows each zone's state, and gives out permissions to give a node up."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._next: dict[str, float] = {}  # zone: when the next node may be given up (monotonic seconds)

    def observe(self, nodes: Iterable[Object]) -> bool:
        """Note the zones' states. Whether all zones were silent until now, and one no longer is."""
        by_zone: dict[str, list[Object]] = {}
        for node in nodes:
            by_zone.setdefault(zone_of(node), []).append(node)
        was_silent = self.all_silent
        self._states = {zone: state_of(there) for zone, there in by_zone.items()}
        self._sizes = {zone: len(there) for zone, there in by_zone.items()}
        return was_silent and not self.all_silent

    @property
    def all_silent(self) -> bool:
        """Every node of every zone: then it is the control plane that is cut off."""
        return bool(self._states) and all(state == FULL for state in self._states.values())

    def may_give_up(self, node: Object, now: float) -> bool:
        """Take the zone's next permission, if there is one."""
        zone = zone_of(node)
        period = self._period(zone)
        if self.all_silent or period is None or now < self._next.get(zone, 0.0):
            return False
        self._next[zone] = now + period
        return True

    def _period(self, zone: str) -> float | None:
        if self._states.get(zone) != PARTIAL:
            return PERIOD
        return SLOW_PERIOD if self._sizes[zone] > LARGE_ZONE else None
