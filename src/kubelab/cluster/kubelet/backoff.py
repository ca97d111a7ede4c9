"""How long to wait before trying again: at first not at all, then 10 s, doubling up to a cap.

Upstream: client-go/util/flowcontrol/backoff.go as the kubelet sets it up (pkg/kubelet/kubelet.go: initial 10 s, maximum
300 s or `crashLoopBackOff.maxContainerRestartPeriod`, an entry is forgotten after 10 minutes without need of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubelab.clock import Clock

INITIAL_SECONDS = 10.0
MAXIMUM_SECONDS = 300.0
RESET_AFTER_SECONDS = 600.0


@dataclass
class _Entry:
    seconds: float
    updated: datetime


class Backoff:
    """One waiting time per key. A key stands for a container of a pod, or for an image a pod asks for."""

    def __init__(self, clock: Clock, initial: float = INITIAL_SECONDS, maximum: float = MAXIMUM_SECONDS) -> None:
        self._clock = clock
        self.initial, self.maximum = min(initial, maximum), maximum
        self._entries: dict[str, _Entry] = {}

    def get(self, key: str) -> float:
        """The waiting time now in force for `key`, in seconds; 0 for an unknown key."""
        entry = self._entries.get(key)
        return entry.seconds if entry else 0.0

    def remaining(self, key: str, since: datetime) -> float:
        """Seconds still to wait when the last failure was at `since`; 0 when it may be tried now."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, since):
            return 0.0
        return max(0.0, entry.seconds - (self._clock.now() - since).total_seconds())

    def remaining_since_update(self, key: str) -> float:
        """The same for what has failed when the entry was made: IsInBackOffSinceUpdate, for images."""
        entry = self._entries.get(key)
        return self.remaining(key, entry.updated) if entry else 0.0

    def next(self, key: str, since: datetime) -> None:
        """Note that it is tried now after a failure at `since`: the next wait is the initial one, or twice the last."""
        entry, seconds = self._entries.get(key), self.initial
        if entry is not None and not self._expired(entry, since):
            seconds = min(entry.seconds * 2, self.maximum)
        self._entries[key] = _Entry(seconds, self._clock.now())

    def forget(self, prefix: str) -> None:
        """Drop every key of a pod that is gone."""
        for key in [k for k in self._entries if k.startswith(prefix)]:
            del self._entries[key]

    @staticmethod
    def _expired(entry: _Entry, since: datetime) -> bool:
        return (since - entry.updated).total_seconds() > RESET_AFTER_SECONDS
