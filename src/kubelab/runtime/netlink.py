"""The few rtnetlink(7) messages that connect pods: links, addresses, routes.

pyroute2 would do it too; importing it takes 90 ms and 11 MB in the one process that every container is forked from,
and here each request takes about 50 µs. Layout of the messages: linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _NEWROUTE, _DELROUTE = 16, 17, 18, 20, 21, 24, 25
_REQUEST, _ACK, _EXCL, _CREATE = 0x1, 0x4, 0x200, 0x400
_NLMSG_ERROR = 2
_IFF_UP = 1
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 3, 10, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_GATEWAY = 1, 5
_TABLE_MAIN, _PROTOCOL_BOOT, _SCOPE_UNIVERSE, _UNICAST = 254, 3, 0, 1

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _name(name: str) -> bytes:
    return _attribute(_IFLA_IFNAME, name.encode() + b"\0")


def _kind(kind: str, data: bytes = b"") -> bytes:
    info = _attribute(_INFO_KIND, kind.encode())
    return _attribute(_IFLA_LINKINFO, info + (_attribute(_INFO_DATA, data) if data else b""))


class Rtnetlink:
    """A netlink socket. It belongs to the network namespace in which it was opened, wherever its process goes."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, attempted: str, kind: int, flags: int, body: bytes) -> bytes:
        """Send one message and return its answer's body. Raises OSError with the kernel's errno."""
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)
        answer = self._socket.recv(65536)
        _, answered, _, _, _ = _HEADER.unpack_from(answer)
        if answered == _NLMSG_ERROR:
            (error,) = struct.unpack_from("=i", answer, _HEADER.size)
            if error:
                raise OSError(-error, f"{attempted}: {os.strerror(-error)}")
        return answer[_HEADER.size :]

    def _index(self, name: str) -> int:
        answer = self._request(f"find link {name}", _GETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + _name(name))
        return _IFINFO.unpack_from(answer)[2]

    def add_bridge(self, name: str) -> None:
        """A bridge, up."""
        body = _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _name(name) + _kind("bridge")
        self._request(f"add bridge {name}", _NEWLINK, _ACK | _CREATE | _EXCL, body)

    def add_veth(self, name: str, bridge: str, peer: str, peer_namespace: int) -> None:
        """A cable from a port of `bridge` here (up) to the link `peer` (still
        down) in the network namespace of that descriptor."""
        other = _IFINFO.pack(0, 0, 0, 0, 0) + _name(peer)
        other += _attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_namespace))
        body = _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _name(name)
        body += _attribute(_IFLA_MASTER, struct.pack("=I", self._index(bridge)))
        body += _kind("veth", _attribute(_VETH_INFO_PEER, other))
        self._request(f"add veth {name} to {bridge}", _NEWLINK, _ACK | _CREATE | _EXCL, body)

    def delete_link(self, name: str) -> None:
        self._request(f"delete link {name}", _DELLINK, _ACK, _IFINFO.pack(0, 0, 0, 0, 0) + _name(name))

    def set_up(self, name: str) -> None:
        self._request(f"set {name} up", _NEWLINK, _ACK, _IFINFO.pack(0, 0, 0, _IFF_UP, _IFF_UP) + _name(name))

    def add_address(self, link: str, address: str) -> None:
        """`address` with its prefix, "10.244.1.1/24"."""
        self._address(f"add {address} to {link}", _NEWADDR, _ACK | _CREATE | _EXCL, link, address)

    def delete_address(self, link: str, address: str) -> None:
        self._address(f"delete {address} from {link}", _DELADDR, _ACK, link, address)

    def _address(self, attempted: str, kind: int, flags: int, link: str, address: str) -> None:
        interface = ipaddress.ip_interface(address)
        body = struct.pack("=BBBBI", socket.AF_INET, interface.network.prefixlen, 0, 0, self._index(link))
        body += _attribute(_IFA_LOCAL, interface.packed) + _attribute(_IFA_ADDRESS, interface.packed)
        self._request(attempted, kind, flags, body)

    def add_route(self, destination: str, gateway: str) -> None:
        """`destination` is a network, "0.0.0.0/0" the default route."""
        self._route(_NEWROUTE, _ACK | _CREATE | _EXCL, destination, gateway)

    def delete_route(self, destination: str, gateway: str) -> None:
        self._route(_DELROUTE, _ACK, destination, gateway)

    def _route(self, kind: int, flags: int, destination: str, gateway: str) -> None:
        network = ipaddress.ip_network(destination)
        fields = (socket.AF_INET, network.prefixlen, 0, 0, _TABLE_MAIN, _PROTOCOL_BOOT, _SCOPE_UNIVERSE, _UNICAST, 0)
        body = struct.pack("=8BI", *fields)
        if network.prefixlen:
            body += _attribute(_RTA_DST, network.network_address.packed)
        body += _attribute(_RTA_GATEWAY, ipaddress.ip_address(gateway).packed)
        self._request(f"route {destination} via {gateway}", kind, flags, body)
