"""Further networks of a machine: a bridge each, apart from the others, and the cables of sandboxes to them.

What libnetwork's bridge driver does for `docker network create` and `connect`. Bridges are kept apart by policy routing
instead of a firewall: what comes in from one and is meant for another is refused (ip-rule(8)).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os

from kubelab.runtime.api import Endpoint, NetworkConfig, RuntimeServiceError
from kubelab.runtime.netlink import Rtnetlink
from kubelab.runtime.network import POD_BRIDGE, AddressPool, Machine, inside
from kubelab.runtime.sandbox import Sandbox

_BETWEEN_BRIDGES, _OUTSIDE = 1000, 1100  # priorities of rules: before the main table's


class Bridges:
    """The networks of one machine; "" is the one that its pods are on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        default = NetworkConfig("", machine.config.name, machine.config.pod_cidr, machine.pool.gateway, POD_BRIDGE)
        self.configs = {"": default}
        self._pools = {"": machine.pool}
        self._ports = 0

    async def ensure(self, config: NetworkConfig) -> None:
        """Raises RuntimeServiceError where there is one that looks otherwise."""
        existing = self.configs.get(config.id)
        if existing is not None:
            if existing != config:
                raise RuntimeServiceError("FailedPrecondition", f"network {config.id} exists as {existing}")
            return
        network = ipaddress.ip_network(config.cidr)
        async with self._machine.netlink() as link:
            await link.add_bridge(config.bridge, config.gateway)
            await link.add_address(config.bridge, f"{config.gateway}/{network.prefixlen}")
            for other in self.configs.values():
                await link.forbid(config.bridge, other.cidr, _BETWEEN_BRIDGES)
                await link.forbid(other.bridge, config.cidr, _BETWEEN_BRIDGES)
            if config.internal:
                await link.forbid(config.bridge, "0.0.0.0/0", _OUTSIDE)
        self.configs[config.id] = config
        self._pools[config.id] = AddressPool(config.cidr, config.gateway, config.ip_range, config.reserved)

    async def remove(self, network_id: str) -> None:
        config = self.configs.pop(network_id, None)
        if config is None:
            return
        del self._pools[network_id]
        async with self._machine.netlink() as link:
            await link.delete_link(config.bridge)
            for other in self.configs.values():
                await link.permit(config.bridge, other.cidr, _BETWEEN_BRIDGES)
                await link.permit(other.bridge, config.cidr, _BETWEEN_BRIDGES)
            if config.internal:
                await link.permit(config.bridge, "0.0.0.0/0", _OUTSIDE)

    async def connect(self, sandbox: Sandbox, network_id: str, address: str, mac: str = "") -> Endpoint:
        """Give a sandbox an interface; with a default route where it has none. Raises RuntimeServiceError."""
        config, pool = self._find(network_id), self._pools[network_id]
        taken = {each.interface for each in sandbox.endpoints.values()}
        interface = next(name for name in (f"eth{number}" for number in range(100)) if name not in taken)
        ip = pool.take(address)
        endpoint = Endpoint(
            network_id, interface, ip, pool.network.prefixlen, "" if config.internal else config.gateway
        )
        self._ports += 1
        try:
            await self._cable(sandbox, config.bridge, f"vethn{self._ports}", endpoint, mac)
        except OSError as error:
            pool.give_back(ip)
            raise RuntimeServiceError("Unknown", f"failed to connect to network {network_id}: {error}") from None
        return endpoint

    def _find(self, network_id: str) -> NetworkConfig:
        try:
            return self.configs[network_id]
        except KeyError:
            raise RuntimeServiceError("NotFound", f"network {network_id} not found") from None

    async def _cable(self, sandbox: Sandbox, bridge: str, port: str, endpoint: Endpoint, mac: str) -> None:
        there = os.open(f"/proc/{sandbox.pid}/ns/net", os.O_RDONLY)
        try:
            async with self._machine.netlink() as link:
                await link.add_veth(port, bridge, endpoint.interface, there, endpoint.ip, mac)
            with inside(there):
                inner = Rtnetlink()
            async with inner as link:
                await link.set_up(endpoint.interface)
                await link.add_address(endpoint.interface, f"{endpoint.ip}/{endpoint.prefix}")
                if endpoint.gateway and not any(each.gateway for each in sandbox.endpoints.values()):
                    await link.add_route("0.0.0.0/0", endpoint.gateway)
        finally:
            os.close(there)

    async def disconnect(self, sandbox: Sandbox, endpoint: Endpoint) -> None:
        """Take the interface away; the default route goes to what is left."""
        there = os.open(f"/proc/{sandbox.pid}/ns/net", os.O_RDONLY)
        try:
            with inside(there):
                inner = Rtnetlink()
        finally:
            os.close(there)
        async with inner as link:
            await link.delete_link(endpoint.interface)
            rest = [each.gateway for each in sandbox.endpoints.values() if each is not endpoint and each.gateway]
            if rest:
                with contextlib.suppress(FileExistsError):
                    await link.add_route("0.0.0.0/0", rest[0])
        self.give_back(endpoint)

    def give_back(self, endpoint: Endpoint) -> None:
        if endpoint.network in self._pools:
            self._pools[endpoint.network].give_back(endpoint.ip)
