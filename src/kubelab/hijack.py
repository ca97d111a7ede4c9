"""Take a connection over from aiohttp, for what HTTP only introduces: exec, attach, port-forward, raw tunnels.

The counterpart of Go's `http.Hijacker`, on which the kubelet, kube-apiserver and dockerd all rest. The handler that
hijacked keeps the connection for as long as it runs; when it returns `Hijacked.response`, aiohttp closes it.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Iterable
from typing import Any

from aiohttp import web

LIMIT = 256 * 1024  # bytes that wait in the reader before the peer is slowed down
CHUNK = 64 * 1024
Header = tuple[str, str]


class _Answered(web.StreamResponse):
    """What a handler returns that has answered by itself: aiohttp adds nothing, and closes the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


class _HijackedProtocol(asyncio.StreamReaderProtocol):
    """Feeds a StreamReader, and tells aiohttp's own protocol when the connection is gone, so that it forgets it."""

    def __init__(self, reader: asyncio.StreamReader, former: asyncio.Protocol) -> None:
        super().__init__(reader)
        self._former = former

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)


class Hijacked:
    """A connection taken over: `reader` and `writer` see raw bytes, half-closing included."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.response: web.StreamResponse = _Answered()


async def hijack(request: web.Request, status: int, headers: Iterable[Header], reason: str = "") -> Hijacked:
    """Take a request's connection over and answer with a head of `status` and `headers`; raw bytes follow it.

    The request's body must have been read. Of what a client sends before it has the answer, aiohttp's parser keeps a
    WebSocket client's bytes only. ConnectionResetError where the client has gone, which half-closing before counts as.
    """
    former: Any = request.protocol
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    reader = asyncio.StreamReader(limit=LIMIT)
    protocol = _HijackedProtocol(reader, former)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if early := getattr(former, "_message_tail", b""):  # came together with the request, before the switch
        former._message_tail = b""
        reader.feed_data(early)
    if not transport.is_reading():
        transport.resume_reading()
    hijacked = Hijacked(reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop()))
    lines = [f"HTTP/1.1 {status} {reason or http.HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in headers)]
    hijacked.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    await hijacked.writer.drain()
    return hijacked


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the reader ends, then half-close the writer where its transport can."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (OSError, RuntimeError):
        pass  # the peer is gone: there is nobody left to tell


async def splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    backend_reader: asyncio.StreamReader,
    backend_writer: asyncio.StreamWriter,
) -> None:
    """Join a client's connection and a backend's until the backend has said all, or the client has gone.

    A half-close is passed on; where the client's side cannot be half-closed (TLS), its end is the end of both.
    """
    there = asyncio.create_task(copy(reader, backend_writer))
    back = asyncio.create_task(copy(backend_reader, writer))
    try:
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        if not back.done() and writer.can_write_eof():
            await back
    finally:
        there.cancel()
        back.cancel()
        backend_writer.close()
