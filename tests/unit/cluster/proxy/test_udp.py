"""Forwarded datagrams, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.proxy.rules import Address, Backend
from kubelab.cluster.proxy.udp import IDLE_SECONDS, UDPForwarder


class Endpoint(asyncio.DatagramProtocol):
    """Answers with its own port, and counts the clients that it sees."""

    def __init__(self) -> None:
        self.clients: set[Address] = set()

    async def start(self) -> Address:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address: Address = self.transport.get_extra_info("sockname")
        return self.address

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.clients.add(addr)
        self.transport.sendto(data + b" %d" % self.address[1], addr)


class Lab:
    def __init__(self) -> None:
        self.clock, self.endpoints = VirtualClock(), [Endpoint(), Endpoint()]

    async def start(self) -> None:
        addresses = [await each.start() for each in self.endpoints]
        self.forwarder = UDPForwarder(Backend(("ns", "s"), (addresses[0],)), self._socket, self.clock)
        bound = socket.socket(type=socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        self.address = bound.getsockname()
        await self.forwarder.start(bound)

    async def _socket(self, _: Address) -> socket.socket:
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.setblocking(False)
        return made

    def client(self) -> socket.socket:
        made = socket.socket(type=socket.SOCK_DGRAM)
        made.setblocking(False)
        made.connect(self.address)
        return made

    def stop(self) -> None:
        self.forwarder.close()
        for each in self.endpoints:
            each.transport.close()


async def ask(client: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, data)
    return await asyncio.wait_for(loop.sock_recv(client, 2000), 5)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    made = Lab()
    await made.start()
    yield made
    made.stop()


async def test_each_client_gets_its_own_answers(lab: Lab) -> None:
    port = lab.endpoints[0].address[1]
    with lab.client() as one, lab.client() as other:
        assert await ask(one, b"a") == b"a %d" % port
        assert await ask(other, b"b") == b"b %d" % port
        assert await ask(one, b"c") == b"c %d" % port
    assert len(lab.endpoints[0].clients) == 2


async def test_a_flow_ends_with_its_endpoint(lab: Lab) -> None:
    first, second = lab.endpoints
    with lab.client() as client:
        assert await ask(client, b"a") == b"a %d" % first.address[1]
        lab.forwarder.backend = Backend(("ns", "s"), (second.address,))
        assert await ask(client, b"b") == b"b %d" % second.address[1]


async def test_a_silent_flow_is_forgotten(lab: Lab) -> None:
    with lab.client() as client, lab.client() as other:
        await ask(client, b"a")
        await lab.clock.advance(IDLE_SECONDS + 1)
        await ask(other, b"b")
        await ask(client, b"c")
    assert len(lab.endpoints[0].clients) == 3
