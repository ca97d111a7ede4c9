"""Which endpoint a client gets: any, or with session affinity the one that it has had."""

from __future__ import annotations

import random

from kubelab.clock import Clock
from kubelab.cluster.proxy.rules import Address, Backend


class Balancer:
    """`backend` may be replaced at any time; a client keeps its endpoint for as long as that is one."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self.backend, self._clock = backend, clock
        self._sticky: dict[str, tuple[Address, float]] = {}  # client IP -> endpoint, last used

    def choose(self, client_ip: str) -> Address:
        """One of the endpoints at random, or the one that the client has had within the affinity's time. LookupError
        where there is none."""
        endpoints, affinity = self.backend.endpoints, self.backend.affinity
        if not affinity:
            return random.choice(endpoints)
        now = self._clock.monotonic()
        address, used = self._sticky.get(client_ip, (None, 0.0))
        if address not in endpoints or now - used > affinity:
            address = random.choice(endpoints)
        self._sticky[client_ip] = (address, now)
        return address
