"""One open port of a service: each connection it takes goes to one of the endpoints.

Bytes go from socket to socket by transports and protocols, without streams between: what one side reads the other side
writes, and a side that cannot write stops the other's reading.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from kubelab.clock import Clock
from kubelab.cluster.proxy.balancer import Balancer
from kubelab.cluster.proxy.rules import Address, Backend
from kubelab.runtime.api import RuntimeServiceError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0  # seconds
OpenSocket = Callable[[Address], Awaitable[socket.socket]]  # a new socket that reaches this endpoint


class Pipe(asyncio.Protocol):
    """One side of a forwarded connection. What comes before it is joined to the other side is held."""

    def __init__(self, on_connect: Callable[[Pipe], None] | None = None) -> None:
        self._on_connect = on_connect
        self._transport: asyncio.Transport | None = None
        self._peer: Pipe | None = None
        self._held = b""
        self._ended = False  # this side sends no more
        self.lost = False

    @property
    def transport(self) -> asyncio.Transport:
        assert self._transport is not None, "asked before connection_made"
        return self._transport

    def join(self, peer: Pipe) -> None:
        """Pass everything on to `peer`, beginning with what is held. Each side joins the other."""
        self._peer = peer
        if self.lost:
            peer.transport.abort()
            return
        if self._held:
            peer.transport.write(self._held)
            self._held = b""
        if self._ended:
            peer.transport.write_eof()
        self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._on_connect is not None:
            self._on_connect(self)

    def data_received(self, data: bytes) -> None:
        if self._peer is not None:
            self._peer.transport.write(data)
        else:
            self._held += data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Pass the half-close on and keep this side open for the answer, until that has ended too."""
        self._ended = True
        if self._peer is None:
            return True
        if not self._peer.transport.is_closing():
            self._peer.transport.write_eof()
        return not self._peer._ended

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._peer is not None:
            self._peer.transport.close() if exc is None else self._peer.transport.abort()

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None:
            self._peer.transport.resume_reading()


class Forwarder:
    """Takes connections on a bound socket for as long as it is open."""

    def __init__(self, backend: Backend, open_socket: OpenSocket, clock: Clock) -> None:
        self._balancer = Balancer(backend, clock)
        self._open_socket = open_socket
        self._server: asyncio.Server | None = None
        self._connecting: set[asyncio.Task[None]] = set()

    @property
    def backend(self) -> Backend:
        return self._balancer.backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        self._balancer.backend = backend

    async def start(self, bound: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Pipe(self._connected), sock=bound)

    def close(self) -> None:
        """Take no more connections; those that are open stay, as upstream's do."""
        if self._server is not None:
            self._server.close()

    def _connected(self, inbound: Pipe) -> None:
        task = asyncio.ensure_future(self._connect(inbound))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, inbound: Pipe) -> None:
        client = inbound.transport.get_extra_info("peername")
        try:
            outbound = await self._dial(self.choose(client[0] if client else ""))
        except (OSError, LookupError, RuntimeServiceError) as error:
            log.debug("%s: %s", self.backend.owner, error)
            inbound.transport.abort()
            return
        inbound.join(outbound)
        outbound.join(inbound)

    async def _dial(self, address: Address) -> Pipe:
        loop, made = asyncio.get_running_loop(), await self._open_socket(address)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(made, address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return (await loop.create_connection(Pipe, sock=made))[1]
        except BaseException:
            made.close()
            raise

    def choose(self, client_ip: str) -> Address:
        """The endpoint for a new connection of this client."""
        return self._balancer.choose(client_ip)
