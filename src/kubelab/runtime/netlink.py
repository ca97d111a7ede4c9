"""What the lab asks of rtnetlink(7): links, addresses, routes. pyroute2 speaks it.

By its native asyncio class: the synchronous ones run an event loop of their own, which a running loop forbids. A child
forked from the daemon has no running loop; it begins one with asyncio.run().
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Awaitable
from typing import Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from kubelab.runtime.addresses import mac_of

_LOOPBACK_INDEX = 1  # in every network namespace: LOOPBACK_IFINDEX of include/net/flow.h


class Rtnetlink:
    """A netlink socket. It belongs to the network namespace in which it was made, wherever its process goes.

    Its methods raise OSError with the kernel's errno.
    """

    def __init__(self) -> None:
        # Left to itself, pyroute2 makes the socket at the first request: wherever the process is by then.
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE)
        self._iproute = AsyncIPRoute(fileno=made.detach())
        self._indices = {"lo": _LOOPBACK_INDEX}

    async def __aenter__(self) -> Rtnetlink:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._iproute.close()

    async def _index(self, link: str) -> int:
        if link not in self._indices:
            (found,) = await _answer(f"find link {link}", self._iproute.link("get", ifname=link))
            self._indices[link] = found["index"]
        return self._indices[link]

    async def add_bridge(self, name: str, ip: str = "") -> None:
        """A bridge, up. Without an IP, its MAC is the lowest of its ports' and changes as they come and go."""
        fixed = {"address": mac_of(ip)} if ip else {}
        await _answer(f"add bridge {name}", self._iproute.link("add", ifname=name, kind="bridge", state="up", **fixed))

    async def add_veth(self, name: str, bridge: str, peer: str, peer_namespace: int, ip: str, mac: str = "") -> None:
        """A cable from a port of `bridge` here (up) to the link `peer` (still down) in the network namespace of that
        descriptor; `ip` is the address that `peer` will have, `mac` its MAC where it is not the one of this IP."""
        other = {"ifname": peer, "net_ns_fd": peer_namespace, "address": mac or mac_of(ip)}
        ends = {"ifname": name, "state": "up", "peer": other}
        request = self._iproute.link("add", kind="veth", master=await self._index(bridge), **ends)
        await _answer(f"add veth {name} to {bridge}", request)

    async def delete_link(self, link: str) -> None:
        await _answer(f"delete link {link}", self._iproute.link("delete", index=await self._index(link)))
        self._indices.pop(link, None)

    async def forbid(self, link: str, destination: str, priority: int) -> None:
        """Refuse what comes in by `link` for a network (ip-rule(8): prohibit)."""
        await _answer(f"forbid {link} to {destination}", self._rule("add", link, destination, priority))

    async def permit(self, link: str, destination: str, priority: int) -> None:
        await _answer(f"permit {link} to {destination}", self._rule("delete", link, destination, priority))

    def _rule(self, command: str, link: str, destination: str, priority: int) -> Awaitable[Any]:
        network = ipaddress.ip_network(destination)
        where = {"dst": str(network.network_address), "dst_len": network.prefixlen} if network.prefixlen else {}
        return self._iproute.rule(
            command, family=socket.AF_INET, iifname=link, priority=priority, action="prohibit", **where
        )

    async def set_up(self, link: str) -> None:
        request = self._iproute.link("set", index=await self._index(link), state="up")
        await _answer(f"set {link} up", request)

    async def set_down(self, link: str) -> None:
        request = self._iproute.link("set", index=await self._index(link), state="down")
        await _answer(f"set {link} down", request)

    async def add_address(self, link: str, address: str) -> None:
        """`address` with its prefix, "10.244.1.1/24"."""
        request = self._iproute.addr("add", **await self._address(link, address))
        await _answer(f"add {address} to {link}", request)

    async def delete_address(self, link: str, address: str) -> None:
        request = self._iproute.addr("delete", **await self._address(link, address))
        await _answer(f"delete {address} from {link}", request)

    async def _address(self, link: str, address: str) -> dict[str, Any]:
        interface = ipaddress.ip_interface(address)
        prefix = interface.network.prefixlen
        return {"index": await self._index(link), "address": str(interface.ip), "prefixlen": prefix}

    async def add_route(self, destination: str, gateway: str) -> None:
        """`destination` is a network, "0.0.0.0/0" the default route."""
        request = self._iproute.route("add", dst=destination, gateway=gateway)
        await _answer(f"add route {destination} via {gateway}", request)

    async def delete_route(self, destination: str, gateway: str) -> None:
        request = self._iproute.route("delete", dst=destination, gateway=gateway)
        await _answer(f"delete route {destination} via {gateway}", request)


async def _answer(attempted: str, request: Awaitable[Any]) -> Any:
    try:
        return await request
    except NetlinkError as error:
        raise OSError(error.code, f"{attempted}: {os.strerror(error.code)}") from None
