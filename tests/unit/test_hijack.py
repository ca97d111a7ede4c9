"""Connections taken over from aiohttp: what came early, half-closing, and that the server forgets them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from kubelab.hijack import hijack, splice

DEADLINE = 5.0  # seconds
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[int]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve one handler for every path; gives the port."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> int:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner.addresses[0][1]

    yield start
    for runner in runners:
        await runner.cleanup()


async def echo(request: web.Request) -> web.StreamResponse:
    """Answers with what it is sent, and says so when that has ended."""
    connection = await hijack(request, 101, [("Connection", "Upgrade"), ("Upgrade", "tcp")])
    while data := await connection.reader.read(100):
        connection.writer.write(data.upper())
    connection.writer.write(b"<end>")
    await connection.writer.drain()
    return connection.response


async def talk(port: int, request: bytes, *more: bytes) -> bytes:
    """Send a request, wait for the answer's head, send more, half-close, and read to the end."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        for data in more:
            writer.write(data)
        writer.write_eof()
        answer += await reader.read()
        writer.close()
        return answer


HEAD = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
ASK = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
WEBSOCKET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [(ASK + b"\r\n", b"late"), (ASK + b"Content-Length: 0\r\n\r\n", b"la", b"te"), (WEBSOCKET + b"late",)],
    ids=["after the answer", "in pieces", "with the request"],
)
async def test_bytes_are_echoed_after_a_half_close(serve: Serve, sent: tuple[bytes, ...]) -> None:
    assert await talk(await serve(echo), *sent) == HEAD + b"LATE<end>"


async def test_a_splice_passes_half_closes_on(serve: Serve) -> None:
    backend = await serve(echo)

    async def forward(request: web.Request) -> web.StreamResponse:
        reader, writer = await asyncio.open_connection("127.0.0.1", backend)
        writer.write(ASK + b"\r\n")
        connection = await hijack(request, 200, [])
        await splice(connection.reader, connection.writer, reader, writer)
        return connection.response

    front = await serve(forward)
    assert await talk(front, ASK + b"\r\n", b"late") == b"HTTP/1.1 200 OK\r\n\r\n" + HEAD + b"LATE<end>"


async def test_a_connection_that_breaks_ends_the_handler(serve: Serve) -> None:
    """Reset, that is: an orderly close by the client looks like a half-close until something is sent to it."""
    ended = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        connection = await hijack(request, 200, [])
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return connection.response

    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", await serve(wait))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        writer.transport.abort()
        await ended.wait()
