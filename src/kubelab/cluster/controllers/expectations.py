"""What a controller has done and not yet seen in its cache, so that it does not do it twice.

Upstream: pkg/controller/controller_utils.go (ControllerExpectations, UIDTrackingControllerExpectations). A sync that
would count pods waits until every creation and deletion it caused was observed, or five minutes have passed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kubelab.clock import Clock
from kubelab.cluster.informer import Key

TIMEOUT = 300.0  # seconds


@dataclass
class Expectation:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)  # UIDs, so that one deletion seen twice counts once


class Expectations:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected: dict[Key, Expectation] = {}

    def expect_creations(self, key: Key, count: int) -> None:
        self._expected[key] = Expectation(self._clock.monotonic(), creations=count)

    def expect_deletions(self, key: Key, uids: Iterable[str]) -> None:
        self._expected[key] = Expectation(self._clock.monotonic(), deletions=set(uids))

    def expect(self, key: Key, creations: int, uids: Iterable[str]) -> None:
        """Both at once."""
        self._expected[key] = Expectation(self._clock.monotonic(), creations, set(uids))

    def creation_observed(self, key: Key, count: int = 1) -> None:
        """A pod appeared, or `count` were not created after all."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations = max(0, expected.creations - count)

    def deletion_observed(self, key: Key, uid: str) -> None:
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def deletions(self, key: Key) -> frozenset[str]:
        """The UIDs whose deletion was not seen yet."""
        expected = self._expected.get(key)
        return frozenset(expected.deletions) if expected is not None else frozenset()

    def satisfied(self, key: Key) -> bool:
        """Whether the cache can be trusted: everything was seen, nothing was expected, or it took too long."""
        expected = self._expected.get(key)
        if expected is None or (not expected.creations and not expected.deletions):
            return True
        return self._clock.monotonic() - expected.since > TIMEOUT

    def forget(self, key: Key) -> None:
        self._expected.pop(key, None)
