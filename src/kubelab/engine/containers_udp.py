"""Published UDP ports: each client gets a socket of its own towards the container.

Upstream: moby's cmd/docker-proxy/udp_proxy.go.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from kubelab.runtime.api import RuntimeServiceError

logger = logging.getLogger(__name__)

IDLE_SECONDS = 90.0  # after the last answer, as docker-proxy
_LARGEST = 65507
OpenSocket = Callable[[], Awaitable[socket.socket]]


class UDPForwarder(asyncio.DatagramProtocol):
    """One published port; `target` gives the container's address now."""

    def __init__(self, open_socket: OpenSocket, target: Callable[[], tuple[str, int]]) -> None:
        self._open_socket, self._target = open_socket, target
        self._queues: dict[Any, asyncio.Queue[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        for task in self._tasks:
            task.cancel()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if addr not in self._queues:
            self._queues[addr] = asyncio.Queue(64)
            task = asyncio.ensure_future(self._serve(addr, self._queues[addr]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if not self._queues[addr].full():  # what is too much is lost, as datagrams are
            self._queues[addr].put_nowait(data)

    async def _serve(self, client: Any, queue: asyncio.Queue[bytes]) -> None:
        loop = asyncio.get_running_loop()
        try:
            with await self._open_socket() as inner:
                await loop.sock_connect(inner, self._target())
                sending = asyncio.ensure_future(_send(inner, queue))
                try:
                    while True:
                        async with asyncio.timeout(IDLE_SECONDS):
                            data = await loop.sock_recv(inner, _LARGEST)
                        if self._transport is not None:
                            self._transport.sendto(data, client)
                finally:
                    sending.cancel()
        except (OSError, TimeoutError, RuntimeServiceError) as error:
            logger.debug("published UDP port: %s", error)
        finally:
            self._queues.pop(client, None)


async def _send(inner: socket.socket, queue: asyncio.Queue[bytes]) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(inner, await queue.get())
