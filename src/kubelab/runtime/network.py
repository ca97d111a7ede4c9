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

    The first address is the gateway's.
    """

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.ip_network(cidr)
        self.gateway = str(self.network[1])
        self._used: set[int] = set()
        self._last = 1

    def take(self) -> str:
        """Raises RuntimeServiceError where all are taken."""
        size = self.network.num_addresses
        for step in range(size):
            number = 2 + (self._last - 1 + step) % (size - 3)
            if number not in self._used:
                self._used.add(number)
                self._last = number
                return str(self.network[number])
        raise RuntimeServiceError("Unknown", f"no IP addresses available in range set: {self.network}")

    def give_back(self, address: str) -> None:
        self._used.discard(int(ipaddress.ip_address(address)) - int(self.network.network_address))


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
    """One machine's network namespace, held by a descriptor and by nothing else: it goes with the daemon."""

    def __init__(self, config: MachineConfig, port: int) -> None:
        self.config = config
        self.pool = AddressPool(config.pod_cidr)
        self.lan_address = config.address.partition("/")[0]
        self.namespace = self._make()
        self._connect(port)

    def _make(self) -> int:
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        syscalls.unshare(syscalls.CLONE_NEWNET)
        try:
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
            return os.open("/proc/self/ns/net", os.O_RDONLY)
        finally:
            syscalls.setns(home, syscalls.CLONE_NEWNET)
            os.close(home)

    def _connect(self, port: int) -> None:
        with Rtnetlink() as lan:
            lan.add_veth(f"veth{port}", LAN_BRIDGE, "eth0", self.namespace)
        gateway = str(ipaddress.ip_interface(self.config.address).network[1])
        with self.netlink() as link:
            link.set_up("lo")
            link.set_up("eth0")
            link.add_address("eth0", self.config.address)
            link.add_route("0.0.0.0/0", gateway)
            link.add_bridge(POD_BRIDGE)
            link.add_address(POD_BRIDGE, f"{self.pool.gateway}/{self.pool.network.prefixlen}")

    def netlink(self) -> Rtnetlink:
        with inside(self.namespace):
            return Rtnetlink()

    def route_to(self, other: Machine) -> None:
        with self.netlink() as link:
            link.add_route(other.config.pod_cidr, other.lan_address)

    def forget(self, other: Machine) -> None:
        with self.netlink() as link:
            link.delete_route(other.config.pod_cidr, other.lan_address)

    def add_address(self, address: str) -> None:
        """Make an address this machine's own; packets that its pods send there arrive here. Twice changes nothing."""
        with self.netlink() as link, contextlib.suppress(FileExistsError):
            link.add_address("lo", f"{address}/32")

    def remove_address(self, address: str) -> None:
        with self.netlink() as link, contextlib.suppress(OSError):
            link.delete_address("lo", f"{address}/32")

    def close(self) -> None:
        os.close(self.namespace)


class LAN:
    """The switch between machines. `start()` moves the daemon into its network namespace."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self._ports = 0
        self._has_gateway = False

    def start(self) -> None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        with Rtnetlink() as link:
            link.set_up("lo")
            link.add_bridge(LAN_BRIDGE)

    def add(self, config: MachineConfig) -> Machine:
        interface = ipaddress.ip_interface(config.address)
        if not self._has_gateway:
            with Rtnetlink() as link:
                link.add_address(LAN_BRIDGE, f"{interface.network[1]}/{interface.network.prefixlen}")
            self._has_gateway = True
        self._ports += 1
        machine = Machine(config, self._ports)
        for other in self.machines.values():
            machine.route_to(other)
            other.route_to(machine)
        self.machines[config.name] = machine
        return machine

    def remove(self, name: str) -> None:
        machine = self.machines.pop(name)
        for other in self.machines.values():
            other.forget(machine)
        machine.close()


def connect_pod(bridge: Rtnetlink, port: str, address: str, gateway: str, prefix: int) -> None:
    """Give the network namespace we are in `lo` and `eth0`; `bridge` is a netlink socket of the machine."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    bridge.add_veth(port, POD_BRIDGE, "eth0", here)
    os.close(here)
    with Rtnetlink() as link:
        link.set_up("lo")
        link.set_up("eth0")
        link.add_address("eth0", f"{address}/{prefix}")
        link.add_route("0.0.0.0/0", gateway)
    # As Docker and containerd: in a pod of its own every port is free for everybody.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")


def socket_inside(namespace: int, family: int, kind: int) -> socket.socket:
    with inside(namespace):
        return socket.socket(family, kind)
