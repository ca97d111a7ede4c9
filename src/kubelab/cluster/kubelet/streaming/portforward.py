"""Port-forwarding: connections that arrive on a stream leave inside the pod, on its localhost.

Upstream: k8s.io/kubelet/pkg/cri/streaming/portforward. Over SPDY each connection is a pair of streams, *data* and
*error*, with one `requestid`; kubectl since 1.30 carries the same SPDY session in a WebSocket (KEP-4006). Over plain
`v4.channel.k8s.io` the ports are fixed by the query, and port i has the channels 2i (data) and 2i+1 (error).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from kubelab.cluster.kubelet.streaming.spdy import SpdySession, SpdyStream
from kubelab.cluster.kubelet.streaming.websocket import message_bytes

logger = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
STREAM_CREATION_TIMEOUT = 30.0  # seconds until both streams of a pair must be there
CHUNK = 32 * 1024
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Target:
    """Where forwarded connections go: `dial(port)` connects inside the pod, raising OSError."""

    sandbox_id: str
    dial: Callable[[int], Awaitable[Connection]]


def header_problem(headers: dict[str, str]) -> str | None:
    """What is wrong with a stream's headers, None where nothing is."""
    port, kind = headers.get("port", ""), headers.get("streamtype", "")
    if not port:
        return '"port" header is required'
    if not port.isdigit() or int(port) > 65535:
        return f'unable to parse "{port}" as a port'
    if int(port) < 1:
        return f'port "{port}" must be > 0'
    if not kind:
        return '"streamType" header is required'
    return None if kind in ("error", "data") else f'invalid stream type "{kind}"'


class SpdyForwarder:
    """Serves one client's session: pairs its streams up, and forwards each pair."""

    def __init__(self, session: SpdySession, target: Target) -> None:
        self._session, self._target = session, target
        self._pairs: dict[str, dict[str, SpdyStream]] = {}
        self._expiries: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until the session ends."""
        try:
            while (stream := await self._session.accept()) is not None:
                if problem := header_problem(stream.headers):
                    logger.warning("port-forward stream rejected: %s", problem)
                    await stream.reset()
                    continue
                await self._session.reply(stream)
                self._add(stream)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _add(self, stream: SpdyStream) -> None:
        request = _request_id(stream)
        pair = self._pairs.setdefault(request, {})
        if not pair:
            self._expiries[request] = self._start(self._expire(request, pair))
        pair[stream.headers["streamtype"]] = stream
        if len(pair) == 2:
            del self._pairs[request]
            self._expiries.pop(request).cancel()
            self._start(self._forward(pair["data"], pair["error"]))

    def _start(self, coroutine: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _expire(self, request: str, pair: dict[str, SpdyStream]) -> None:
        await asyncio.sleep(STREAM_CREATION_TIMEOUT)
        del self._pairs[request], self._expiries[request]
        for stream in pair.values():
            await stream.reset()

    async def _forward(self, data: SpdyStream, error: SpdyStream) -> None:
        port = int(data.headers["port"])
        try:
            await _join(self._target, port, data.read, data.write)
        except OSError as failure:
            await error.write(error_text(self._target, port, failure).encode())
        finally:
            for stream in (data, error):
                stream.ignore()
                await stream.close()


class WebSocketForwarder:
    """Serves the fixed ports of a `v4.channel.k8s.io` client, such as the Python client's `portforward`."""

    def __init__(self, websocket: web.WebSocketResponse, target: Target, ports: list[int]) -> None:
        self._websocket, self._target, self._ports = websocket, target, ports
        self._incoming: list[asyncio.Queue[bytes]] = [asyncio.Queue(64) for _ in ports]

    async def run(self) -> None:
        """Until every port's connection has ended, or the client has gone."""
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):  # a channel's first message names its port
                await self._websocket.send_bytes(bytes([channel]) + struct.pack("<H", port))
        reading = asyncio.create_task(self._read())
        forwards = asyncio.gather(*(self._forward(index, port) for index, port in enumerate(self._ports)))
        try:
            await asyncio.wait({reading, forwards}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reading, forwards):
                task.cancel()
            await asyncio.gather(reading, forwards, return_exceptions=True)
        await self._websocket.close()

    async def _forward(self, index: int, port: int) -> None:
        async def write(data: bytes) -> None:
            await self._websocket.send_bytes(bytes([2 * index]) + data)

        try:
            await _join(self._target, port, lambda: self._incoming[index].get(), write)
        except OSError as failure:
            message = error_text(self._target, port, failure)
            with contextlib.suppress(ConnectionError):
                await self._websocket.send_bytes(bytes([2 * index + 1]) + message.encode())

    async def _read(self) -> None:
        async for message in self._websocket:
            data = message_bytes(message)
            if data and len(data) > 1 and data[0] % 2 == 0 and data[0] // 2 < len(self._ports):
                await self._incoming[data[0] // 2].put(data[1:])


def error_text(target: Target, port: int, failure: OSError) -> str:
    """What the client is told on the error stream, in the kubelet's words with containerd's cause."""
    # asyncio puts words of its own into strerror.
    reason = os.strerror(failure.errno).lower() if failure.errno else str(failure) or "i/o timeout"
    cause = f"failed to connect to localhost:{port} inside the pod: dial tcp4 127.0.0.1:{port}: connect: {reason}"
    return f"error forwarding port {port} to pod {target.sandbox_id}, uid : {cause}"


def _request_id(stream: SpdyStream) -> str:
    """The pair's ID; a client too old to send one opens the error stream first and data right after it."""
    given = stream.headers.get("requestid", "")
    if given:
        return given
    return str(stream.number if stream.headers["streamtype"] == "error" else stream.number - 2)


async def _join(
    target: Target, port: int, read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]
) -> None:
    """Connect to the port, then copy both ways until the pod's side has said all. OSError where it cannot connect."""
    reader, writer = await target.dial(port)

    async def inward() -> None:
        while data := await read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    sending = asyncio.create_task(inward())
    try:
        while data := await reader.read(CHUNK):
            await write(data)
    except ConnectionError as error:
        logger.debug("forwarded connection to port %d ended: %s", port, error)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


class WebSocketTunnel:
    """The bytes of a SPDY session carried in a WebSocket's binary messages."""

    def __init__(self, websocket: web.WebSocketResponse) -> None:
        self._websocket = websocket
        self._waiting = bytearray()

    async def readexactly(self, count: int) -> bytes:
        while len(self._waiting) < count:
            message = await self._websocket.receive()
            data = message_bytes(message)
            if data is None:
                raise asyncio.IncompleteReadError(bytes(self._waiting), count)
            self._waiting += data
        data = bytes(self._waiting[:count])
        del self._waiting[:count]
        return data

    async def send(self, data: bytes) -> None:
        await self._websocket.send_bytes(data)
