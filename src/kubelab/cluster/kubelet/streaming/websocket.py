"""exec and attach over WebSocket: `v5.channel.k8s.io` and `v4.channel.k8s.io`.

Upstream: k8s.io/apimachinery/pkg/util/remotecommand/constants.go and KEP-4006. Each message begins with its channel's
number; version 5 adds channel 255, by which a client closes another channel (`FF 00` ends stdin).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

from aiohttp import WSMsgType, web

from kubelab.cluster.kubelet.streaming.remotecommand import StreamOptions

logger = logging.getLogger(__name__)

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
MAX_WAITING = 64  # messages that wait for the program to read them before the client is slowed down
MAX_MESSAGE = 4 << 20  # bytes; clients send 32 KiB at most


def message_bytes(message: Any) -> bytes | None:
    """A message's payload, None where it is no data. Text counts as bytes: the Python client sends stdin so."""
    if message.type is WSMsgType.BINARY:
        return message.data
    return message.data.encode() if message.type is WSMsgType.TEXT else None


class WebSocketCommandStreams:
    """A client's channels. `start()` begins to read them."""

    def __init__(self, websocket: web.WebSocketResponse, options: StreamOptions) -> None:
        self._websocket, self._options = websocket, options
        self._stdin: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._sizes: asyncio.Queue[tuple[int, int] | None] = asyncio.Queue()
        self._reading: asyncio.Task[None] | None = None
        self.closed = asyncio.Event()

    async def start(self) -> None:
        """Tell the client that the streams are there (an empty message, as upstream does), and read what it sends."""
        first = STDOUT if self._options.stdout else STDERR if self._options.stderr else ERROR
        await self._send(first, b"")
        self._reading = asyncio.create_task(self._read())

    async def read_stdin(self) -> bytes:
        return await self._stdin.get()

    async def write_stdout(self, data: bytes) -> None:
        await self._send(STDOUT, data)

    async def write_stderr(self, data: bytes) -> None:
        await self._send(STDERR, data)

    async def next_resize(self) -> tuple[int, int] | None:
        return await self._sizes.get()

    async def finish(self, status: dict[str, Any]) -> None:
        await self._send(ERROR, json.dumps(status).encode())
        await self.stop()
        await self._websocket.close()

    async def stop(self) -> None:
        """Read no more. What was sent stays sent."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._websocket.send_bytes(bytes([channel]) + data)
        except ConnectionError:
            self.closed.set()

    async def _read(self) -> None:
        async for message in self._websocket:
            data = message_bytes(message)
            if data:
                await self._received(data[0], data[1:])
        self.closed.set()

    async def _received(self, channel: int, data: bytes) -> None:
        if channel == STDIN and data:
            await self._stdin.put(data)
        elif channel == CLOSE and data == bytes([STDIN]) and self._websocket.ws_protocol == V5:
            await self._stdin.put(b"")
        elif channel == RESIZE:
            try:
                size = json.loads(data)
                self._sizes.put_nowait((int(size["Height"]), int(size["Width"])))
            except (ValueError, KeyError, TypeError):
                logger.warning("not a terminal's size: %r", data[:100])
