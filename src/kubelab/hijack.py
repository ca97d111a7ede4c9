"""Take a connection over from aiohttp, for what HTTP only introduces: exec, attach, port-forward, raw tunnels.

The counterpart of Go's `http.Hijacker`, on which the kubelet, kube-apiserver and dockerd all rest. The handler that
hijacked keeps the connection for as long as it runs; when it returns the response that it was given, aiohttp closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import web

LIMIT = 256 * 1024  # bytes that wait in the reader before the peer is slowed down
CHUNK = 64 * 1024


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

    def __init__(
        self, response: web.StreamResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.response, self.reader, self.writer = response, reader, writer


async def hijack(request: web.Request, status: int, headers: Mapping[str, str]) -> Hijacked:
    """Answer with `status` (101, or 200 as Docker's older clients expect) and `headers`, then take the connection.

    The request's body must have been read. Return `Hijacked.response` from the handler.
    """
    former = request.protocol
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    response = web.StreamResponse(status=status, headers=headers)
    if status != 101:
        # Raw bytes follow: neither a length nor chunks, so the end of the connection ends the body.
        response._length_check = False
        response.force_close()
    await response.prepare(request)
    reader = asyncio.StreamReader(limit=LIMIT)
    protocol = _HijackedProtocol(reader, former)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    # Bytes that arrived together with the request, before the switch.
    if early := getattr(former, "_message_tail", b""):
        former._message_tail = b""
        reader.feed_data(early)
    if not transport.is_reading() and not transport.is_closing():
        transport.resume_reading()
    return Hijacked(response, reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop()))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the reader ends, then half-close the writer where its transport can."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, RuntimeError):
        pass  # the peer is gone: there is nobody left to tell


async def splice(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    backend_reader: asyncio.StreamReader,
    backend_writer: asyncio.StreamWriter,
) -> None:
    """Join a client's connection and a backend's until the backend has said all, or both have ended.

    A half-close is passed on. What cannot be half-closed (TLS) is closed as a whole when one side ends.
    """
    there = asyncio.create_task(copy(reader, backend_writer))
    back = asyncio.create_task(copy(backend_reader, writer))
    try:
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        if not back.done() and backend_writer.can_write_eof() and not backend_writer.is_closing():
            await back
    finally:
        there.cancel()
        back.cancel()
        backend_writer.close()
