"""Pools of cluster IPs and node ports. What is taken is known from the services in the store; nothing is kept twice.

Upstream: pkg/registry/core/service/{ipallocator,portallocator}: a random choice, the lower part of the address range
kept for those who ask for an address themselves.
"""

from __future__ import annotations

import ipaddress
import random


class PoolError(ValueError):
    """The wish cannot be met; the message is upstream's."""


class AddressPool:
    """IPv4 addresses of a network, without the first (the network) and the last (broadcast)."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._taken: set[int] = set()
        size = self.network.num_addresses
        self._band = min(max(16, size // 16), 256) if size >= 32 else 0  # kept for static choices

    @property
    def first(self) -> str:
        """The address of the `kubernetes` service."""
        return str(self.network[1])

    def check(self, address: str) -> None:
        """Raises PoolError where the address cannot be had."""
        offset = self._offset(address)
        if not 0 < offset < self.network.num_addresses - 1:
            why = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.network}"
            raise PoolError(f"failed to allocate IP {address}: {why}")
        if offset in self._taken:
            raise PoolError(f"failed to allocate IP {address}: provided IP is already allocated")

    def take(self, address: str) -> None:
        self._taken.add(self._offset(address))

    def any(self) -> str:
        """A free address, taken. Raises PoolError when there is none."""
        last = self.network.num_addresses - 2
        for low, high in ((self._band + 1, last), (1, self._band)):
            free = _free(low, high, self._taken)
            if free is not None:
                self._taken.add(free)
                return str(self.network[free])
        raise PoolError("failed to allocate a serviceIP: range is full")

    def release(self, address: str) -> None:
        self._taken.discard(self._offset(address))

    def _offset(self, address: str) -> int:
        return int(ipaddress.ip_address(address)) - int(self.network.network_address)


class PortPool:
    """Node ports."""

    def __init__(self, ports: range) -> None:
        self.ports = ports
        self._taken: set[int] = set()

    def check(self, port: int) -> None:
        """Raises PoolError where the port cannot be had."""
        if port not in self.ports:
            valid = f"{self.ports.start}-{self.ports.stop - 1}"
            raise PoolError(f"provided port is not in the valid range. The range of valid ports is {valid}")
        if port in self._taken:
            raise PoolError("provided port is already allocated")

    def take(self, port: int) -> None:
        self._taken.add(port)

    def any(self) -> int:
        """A free port, taken. Raises PoolError when there is none."""
        free = _free(self.ports.start, self.ports.stop - 1, self._taken)
        if free is None:
            raise PoolError("failed to allocate a nodePort: range is full")
        self._taken.add(free)
        return free

    def release(self, port: int) -> None:
        self._taken.discard(port)


def _free(low: int, high: int, taken: set[int]) -> int | None:
    """A random number in low..high that is not taken."""
    if high < low:
        return None
    start = random.randint(low, high)
    return next((n for n in (*range(start, high + 1), *range(low, start)) if n not in taken), None)
