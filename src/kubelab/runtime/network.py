"""The lab's network: the LAN's bridge, machines on it, and pods on each machine's own bridge.

The daemon itself lives in the LAN's network namespace. A machine is a network namespace with `eth0` on the LAN, the
bridge `cni0` for its pods, forwarding, and a route to every other machine's pods: what the CNI plug-ins `bridge` and
`host-local` and a cloud's route controller set up upstream.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from kubelab.runtime import syscalls
from kubelab.runtime.api import MachineConfig, RuntimeServiceError
from kubelab.runtime.netlink import Rtnetlink

LAN_BRIDGE, POD_BRIDGE = "lan0", "cni0"


class AddressPool:
    """Hands out a pod CIDR's addresses in turn, as host-local does: one that was given back is used last.

    The first address is the gateway's. `ip_range` is the part that is handed out, `reserved` what is not in it.
    """

    def __init__(self, cidr: str, gateway: str = "", ip_range: str = "", reserved: tuple[str, ...] = ()) -> None:
        self.network = ipaddress.ip_network(cidr)
        self.gateway = gateway or str(self.network[1])
        part = ipaddress.ip_network(ip_range or cidr)
        self._first = max(self._number(str(part[0])), 1)
        self._size = min(self._number(str(part[-1])), self.network.num_addresses - 2) - self._first + 1
        self._used = {self._number(address) for address in (self.gateway, *reserved)}
        self._last = self._number(self.gateway) - self._first if self._number(self.gateway) == self._first else -1

    def _number(self, address: str) -> int:
        return int(ipaddress.ip_address(address)) - int(self.network.network_address)

    def take(self, address: str = "") -> str:
        """The next one, or a given one. Raises RuntimeServiceError where it, or all, are taken."""
        if address:
            return self._take(address)
        for step in range(1, self._size + 1):
            place = (self._last + step) % self._size
            number = self._first + place
            if number not in self._used:
                self._used.add(number)
                self._last = place
                return str(self.network[number])
        raise RuntimeServiceError("Unknown", f"no IP addresses available in range set: {self.network}")

    def _take(self, address: str) -> str:
        if ipaddress.ip_address(address) not in self.network:
            raise RuntimeServiceError("InvalidArgument", f"{address} is not in the network {self.network}")
        if self._number(address) in self._used:
            raise RuntimeServiceError("FailedPrecondition", "Address already in use")
        self._used.add(self._number(address))
        return address

    def give_back(self, address: str) -> None:
        if address != self.gateway:
            self._used.discard(self._number(address))


@contextlib.contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Be in the network namespace of this descriptor; only for single-threaded processes, and without awaiting."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    syscalls.setns(namespace, syscalls.CLONE_NEWNET)
    try:
        yield
    finally:
        syscalls.setns(home, syscalls.CLONE_NEWNET)
        os.close(home)


class Machine:
    """One machine's network namespace, held by a descriptor and by nothing else: it goes with the daemon.

    `await connect()` joins it to the LAN.
    """

    def __init__(self, config: MachineConfig, port: int) -> None:
        self.config = config
        self.pool = AddressPool(config.pod_cidr)
        self.lan_address = config.address.partition("/")[0]
        self._port = f"veth{port}"
        self.namespace = self._make()

    def _make(self) -> int:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            return os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)

    async def connect(self) -> None:
        async with Rtnetlink() as lan:
            await lan.add_veth(self._port, LAN_BRIDGE, "eth0", self.namespace, self.lan_address)
        gateway = str(ipaddress.ip_interface(self.config.address).network[1])
        async with self.netlink() as link:
            await link.set_up("lo")
            await link.set_up("eth0")
            await link.add_address("eth0", self.config.address)
            await link.add_route("0.0.0.0/0", gateway)
            await link.add_bridge(POD_BRIDGE, self.pool.gateway)
            await link.add_address(POD_BRIDGE, f"{self.pool.gateway}/{self.pool.network.prefixlen}")

    def netlink(self) -> Rtnetlink:
        with inside(self.namespace):
            return Rtnetlink()

    async def set_link(self, up: bool) -> None:
        """The LAN's end of the cable: at the machine's the link stays, with its addresses and routes, but for the
        carrier."""
        async with Rtnetlink() as lan:
            await (lan.set_up(self._port) if up else lan.set_down(self._port))

    async def route_to(self, other: Machine) -> None:
        async with self.netlink() as link:
            await link.add_route(other.config.pod_cidr, other.lan_address)

    async def forget(self, other: Machine) -> None:
        async with self.netlink() as link:
            await link.delete_route(other.config.pod_cidr, other.lan_address)

    async def add_address(self, address: str) -> None:
        """Make an address this machine's own; packets that its pods send there arrive here. Twice changes nothing."""
        with contextlib.suppress(FileExistsError):
            async with self.netlink() as link:
                await link.add_address("lo", f"{address}/32")

    async def remove_address(self, address: str) -> None:
        with contextlib.suppress(OSError):
            async with self.netlink() as link:
                await link.delete_address("lo", f"{address}/32")

    def close(self) -> None:
        os.close(self.namespace)


class LAN:
    """The switch between machines. `await start()` moves the daemon into its network namespace."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self._ports = 0
        self._has_gateway = False

    async def start(self) -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        async with Rtnetlink() as link:
            await link.set_up("lo")
            await link.add_bridge(LAN_BRIDGE)

    async def add(self, config: MachineConfig) -> Machine:
        interface = ipaddress.ip_interface(config.address)
        if not self._has_gateway:
            async with Rtnetlink() as link:
                await link.add_address(LAN_BRIDGE, f"{interface.network[1]}/{interface.network.prefixlen}")
            self._has_gateway = True
        self._ports += 1
        machine = Machine(config, self._ports)
        await machine.connect()
        for other in self.machines.values():
            await machine.route_to(other)
            await other.route_to(machine)
        self.machines[config.name] = machine
        return machine

    async def remove(self, name: str) -> None:
        machine = self.machines.pop(name)
        for other in self.machines.values():
            await other.forget(machine)
        machine.close()


async def connect_pod(bridge: Rtnetlink, port: str, address: str, gateway: str, prefix: int, mac: str = "") -> None:
    """Give the network namespace we are in `lo` and `eth0`; `bridge` is a netlink socket of the machine."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    await bridge.add_veth(port, POD_BRIDGE, "eth0", here, address, mac)
    os.close(here)
    async with Rtnetlink() as link:
        await link.set_up("lo")
        await link.set_up("eth0")
        await link.add_address("eth0", f"{address}/{prefix}")
        await link.add_route("0.0.0.0/0", gateway)


def open_low_ports() -> None:
    """As Docker and containerd: in a pod of its own every port is free for everybody."""
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def socket_inside(namespace: int, family: int, kind: int) -> socket.socket:
    with inside(namespace):
        return socket.socket(family, kind)
