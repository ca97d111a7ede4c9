"""What an address means in a pod's or machine's network.

In a network namespace it means itself. At the level *process* all share the host's network: there the pod's own address
stands for `localhost` and for "every interface", and ports that an ordinary user may not use are moved up.
guest/sitecustomize.py does the same to the Python programs of containers.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import NamedTuple

RESERVED = 1024  # ports below it are the superuser's, unless net.ipv4.ip_unprivileged_port_start says otherwise
SHIFT = 20000


class Addresses(NamedTuple):
    loopback: str = "127.0.0.1"
    any: str = "0.0.0.0"
    shift: int = 0  # added to reserved ports

    def translate(self, host: str, port: int) -> tuple[str, int]:
        """The address to connect to or to bind."""
        if host in ("localhost", "127.0.0.1"):
            host = self.loopback
        elif host in ("", "0.0.0.0"):
            host = self.any
        return host, port + self.shift if 0 < port < RESERVED else port


OWN_NETWORK = Addresses()


class SharedSocket(socket.socket):
    """A socket of the host's network that takes addresses as those of a pod's or machine's. IPv4 only."""

    addresses = OWN_NETWORK

    def bind(self, address: tuple[str, int]) -> None:
        super().bind(self.addresses.translate(*address))

    def connect(self, address: tuple[str, int]) -> None:
        super().connect(self.addresses.translate(*address))

    def connect_ex(self, address: tuple[str, int]) -> int:
        return super().connect_ex(self.addresses.translate(*address))


def make_socket(family: int, kind: int, descriptor: int, addresses: Addresses) -> socket.socket:
    """The socket of a descriptor, non-blocking, on which addresses mean what they mean in its network."""
    if family != socket.AF_INET or addresses == OWN_NETWORK:
        made = socket.socket(family, kind, fileno=descriptor)
    else:
        made = SharedSocket(family, kind, fileno=descriptor)
        made.addresses = addresses
    made.setblocking(False)
    return made


def needed_shift(address: str) -> int:
    """0 where this user may bind reserved ports of `address`, found by trying."""
    with socket.socket() as trial:
        try:
            trial.bind((address, 1))
        except OSError as error:
            return SHIFT if error.errno == errno.EACCES else 0
    return 0


def mac_of(ip: str) -> str:
    """The MAC that Docker gives to an IPv4 address (libnetwork's GenerateMACFromIP): who gets a known address back,
    such as a machine that was lost, is found at once, and not when its neighbours' ARP entries have expired."""
    return ":".join(f"{byte:02x}" for byte in (0x02, 0x42, *ipaddress.IPv4Address(ip).packed))
