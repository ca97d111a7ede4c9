"""One open port of a service: each connection it takes goes to one of the endpoints.

Bytes go from socket to socket by transports and protocols, without streams between: what one side reads the other side
writes, and a side that cannot write stops the other's reading.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Awaitable, Callable

from kubelab.clock import Clock
from kubelab.cluster.proxy.rules import Address, Backend

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
OpenSocket = Callable[[Address], Awaitable[socket.socket]]  # a new socket that reaches this endpoint


class Pipe(asyncio.Protocol):
    """One side of a forwarded connection; `peer` is the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Pipe | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the half-close on, and keep this side open for the answer."""
        transport = self.peer.transport if self.peer is not None else None
        if transport is not None and transport.can_write_eof() and not transport.is_closing():
            transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.close() if exc is None else self.peer.transport.abort()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()


class _Inbound(Pipe):
    """The client's side: it is not read from before there is an endpoint to write to."""

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__()
        self._forwarder = forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        transport.pause_reading()  # type: ignore[attr-defined]
        self._forwarder.connect(self)


class Forwarder:
    """Takes connections on a bound socket for as long as it is open."""

    def __init__(self, backend: Backend, open_socket: OpenSocket, clock: Clock) -> None:
        self.backend = backend
        self._open_socket, self._clock = open_socket, clock
        self._server: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()
        self._sticky: dict[str, tuple[Address, float]] = {}  # client IP -> endpoint, last used

    async def start(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Inbound(self), sock=bound)

    def close(self) -> None:
        """Take no more connections; those that are open stay, as upstream's do."""
        if self._server is not None:
            self._server.close()

    def connect(self, inbound: Pipe) -> None:
        task = asyncio.ensure_future(self._connect(inbound))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, inbound: Pipe) -> None:
        assert inbound.transport is not None
        peer = inbound.transport.get_extra_info("peername")
        try:
            address = self.choose(peer[0] if peer else "")
            outbound = await self._dial(address)
        except (OSError, LookupError) as error:
            log.debug("%s: %s", self.backend.service, error)
            inbound.transport.abort()
            return
        assert outbound.transport is not None
        inbound.peer, outbound.peer = outbound, inbound
        if inbound.transport.is_closing():
            outbound.transport.abort()
        else:
            inbound.transport.resume_reading()
            outbound.transport.resume_reading()

    async def _dial(self, address: Address) -> Pipe:
        loop, made = asyncio.get_running_loop(), await self._open_socket(address)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(made, address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, pipe = await loop.create_connection(Pipe, sock=made)
        except BaseException:
            made.close()
            raise
        transport.pause_reading()
        return pipe

    def choose(self, client_ip: str) -> Address:
        """One of the endpoints at random, or the one that the client has had within the affinity's time."""
        endpoints, affinity = self.backend.endpoints, self.backend.affinity
        if not affinity:
            return random.choice(endpoints)
        now = self._clock.monotonic()
        address, used = self._sticky.get(client_ip, (None, 0.0))
        if address not in endpoints or now - used > affinity:
            address = random.choice(endpoints)
        self._sticky[client_ip] = (address, now)
        return address
