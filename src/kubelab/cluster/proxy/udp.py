"""One open UDP port of a service: each client has a flow of its own to one of the endpoints, until it falls silent.

Upstream: the kernel's connection tracking, which the rules of kube-proxy use; a flow with answers is forgotten after
120 s of silence (nf_conntrack_udp_timeout_stream), and at once when its endpoint goes.
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

IDLE_SECONDS = 120.0
MOST_FLOWS = 1024
Client = tuple[str, int]
OpenSocket = Callable[[Address], Awaitable[socket.socket]]  # a new UDP socket that reaches this endpoint


class UDPForwarder(asyncio.DatagramProtocol):
    """Takes datagrams on a bound socket for as long as it is open."""

    def __init__(self, backend: Backend, open_socket: OpenSocket, clock: Clock) -> None:
        self._balancer = Balancer(backend, clock)
        self._open_socket, self._clock = open_socket, clock
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[Client, asyncio.Task[Flow]] = {}

    @property
    def backend(self) -> Backend:
        return self._balancer.backend

    @backend.setter
    def backend(self, backend: Backend) -> None:
        """Flows to endpoints that are gone end: their clients get another one with the next datagram."""
        self._balancer.backend = backend
        for client, flow in list(self._flows.items()):
            if flow.done() and (flow.exception() or flow.result().endpoint not in backend.endpoints):
                self._end(client)

    async def start(self, bound: socket.socket) -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        for client in list(self._flows):
            self._end(client)

    # -- from clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Client) -> None:
        flow = self._flows.get(addr)
        if flow is None:
            self._forget_idle()
            flow = self._flows[addr] = asyncio.ensure_future(self._open(addr))
        if flow.done():
            self._send(addr, flow, data)
        else:
            flow.add_done_callback(lambda done: self._send(addr, done, data))

    def _send(self, client: Client, flow: asyncio.Task[Flow], data: bytes) -> None:
        if flow.cancelled():
            return
        if flow.exception() is not None:
            log.debug("%s: %s", self.backend.owner, flow.exception())
            self._flows.pop(client, None)
            return
        flow.result().send(data)

    async def _open(self, client: Client) -> Flow:
        endpoint = self._balancer.choose(client[0])
        made = await self._open_socket(endpoint)
        try:
            made.connect(endpoint)
            flow = Flow(endpoint, lambda data: self._answer(client, data), self._clock)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: flow, sock=made)
        except (OSError, RuntimeServiceError):
            made.close()
            raise
        return flow

    def _answer(self, client: Client, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, client)

    def _forget_idle(self) -> None:
        """Silent flows go; where there are too many, the one that was silent longest."""
        ready = {client: flow.result() for client, flow in self._flows.items() if flow.done() and not flow.exception()}
        for client, flow in ready.items():
            if self._clock.monotonic() - flow.used > IDLE_SECONDS:
                self._end(client)
        if len(self._flows) >= MOST_FLOWS and ready:
            self._end(min(ready, key=lambda client: ready[client].used))

    def _end(self, client: Client) -> None:
        flow = self._flows.pop(client, None)
        if flow is None:
            return
        if not flow.done():
            flow.cancel()
        elif not flow.cancelled() and flow.exception() is None:
            flow.result().close()


class Flow(asyncio.DatagramProtocol):
    """One client's way to its endpoint, and the answers back. `used`: when the last datagram went either way."""

    def __init__(self, endpoint: Address, answer: Callable[[bytes], None], clock: Clock) -> None:
        self.endpoint, self._answer, self._clock = endpoint, answer, clock
        self.used = clock.monotonic()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, data: bytes) -> None:
        self.used = self._clock.monotonic()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.used = self._clock.monotonic()
        self._answer(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
