"""Who may speak to the registry: processes of its owner, and root's (a real dockerd is one); nobody else.

A port on the loopback is open to every user of the machine, and `docker push` to it knows no password. The kernel knows
whose socket is at the other end: /proc/net/tcp lists it with its owner (proc(5)).
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import weakref
from pathlib import Path
from typing import Any

from aiohttp import web

from kubelab.images.registry.server.errors import ProtocolError

TABLES = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
ESTABLISHED = "01"
_ours: weakref.WeakSet[Any] = weakref.WeakSet()  # transports that were looked up, and are our user's


@web.middleware
async def owners_only(request: web.Request, handler: Any) -> web.StreamResponse:
    """403 for another user's process. A connection is looked up once: its other end stays whose it is."""
    transport = request.transport
    if transport not in _ours:
        connection = transport.get_extra_info("socket") if transport else None
        if connection is None or owner(connection) not in (os.getuid(), 0):
            raise ProtocolError("DENIED", "this registry serves the user who started it, on this machine")
        _ours.add(transport)
    return await handler(request)


def owner(connection: socket.socket) -> int | None:
    """The user ID behind the other end of a TCP connection on this machine; None where it cannot be told.

    Only of an established connection with a socket: one that its process has closed is shown as root's.
    """
    try:
        ours, theirs = connection.getsockname(), connection.getpeername()
        lines = TABLES[connection.family].read_text().splitlines()[1:]
    except (OSError, KeyError):
        return None
    wanted = [_encoded(theirs), _encoded(ours)]
    for line in lines:
        fields = line.split()
        if fields[1:3] == wanted and fields[3] == ESTABLISHED and fields[9] != "0":
            return int(fields[7])
    return None


def _encoded(address: tuple[Any, ...]) -> str:
    """As the kernel prints it: words of four bytes in the machine's own order, and the port."""
    packed = ipaddress.ip_address(address[0].partition("%")[0]).packed
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{address[1]:04X}"
