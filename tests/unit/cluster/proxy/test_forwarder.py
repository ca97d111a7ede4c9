"""Forwarded connections, over real sockets on the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.proxy.forwarder import Forwarder
from kubelab.cluster.proxy.rules import Address, Backend

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def new_socket(_: Address) -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    return made


@contextlib.asynccontextmanager
async def forwarding(handler: Handler) -> AsyncIterator[Address]:
    """The address of a forwarder to a server that does `handler`."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    endpoint = server.sockets[0].getsockname()
    forwarder = Forwarder(Backend(("ns", "s"), (endpoint,)), new_socket, VirtualClock())
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    await forwarder.start(bound)
    yield address
    forwarder.close()
    server.close()


async def test_what_is_sent_before_the_endpoint_is_reached_arrives() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        writer.close()

    async with forwarding(echo) as address:
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"hello")
            assert await reader.read() == b"hello"
            writer.close()


async def test_a_half_close_is_passed_on_and_both_sides_end() -> None:
    ended = asyncio.Event()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(str(len(await reader.read())).encode())
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with forwarding(count) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x" * 3_000_000)
        writer.write_eof()
        assert await reader.read() == b"3000000"
        async with asyncio.timeout(5):
            await ended.wait()
        writer.close()


async def test_a_reset_is_passed_on() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.transport.abort()

    async with forwarding(reset) as address:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_a_client_that_reads_slowly_stops_the_endpoint() -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536

    async with forwarding(pour) as address:
        client = socket.socket()
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await asyncio.get_running_loop().sock_connect(client, address)
        before = -1
        async with asyncio.timeout(10):
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
        assert 0 < sent < 50_000_000
        client.close()


def test_affinity_keeps_a_client_with_its_endpoint_for_its_time() -> None:
    clock = VirtualClock()
    endpoints = tuple((f"10.0.0.{i}", 80) for i in range(50))
    forwarder = Forwarder(Backend(("ns", "s"), endpoints, affinity=100), new_socket, clock)
    first = forwarder.choose("1.1.1.1")
    assert {forwarder.choose("1.1.1.1") for _ in range(20)} == {first}
    forwarder.backend = Backend(("ns", "s"), tuple(e for e in endpoints if e != first), affinity=100)
    assert forwarder.choose("1.1.1.1") != first


@pytest.mark.parametrize("clients", [1, 50])
def test_without_affinity_endpoints_take_turns_at_random(clients: int) -> None:
    endpoints = (("10.0.0.1", 80), ("10.0.0.2", 80))
    forwarder = Forwarder(Backend(("ns", "s"), endpoints), new_socket, VirtualClock())
    assert {forwarder.choose(f"1.1.1.{i % clients}") for i in range(200)} == set(endpoints)
