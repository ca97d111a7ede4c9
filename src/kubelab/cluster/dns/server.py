"""The name server's sockets, in the node's network at the cluster IP of the service `kube-dns`.

Upstream: NodeLocal DNSCache, which listens at the same address on each node, so that a question never leaves it. The
service proxy leaves this address to us.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket

from kubelab.clock import Clock
from kubelab.cluster.dns.resolver import PORT, Resolver
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.client import RuntimeClient

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0  # a TCP connection without a question is closed
RETRY_SECONDS = 1.0


class NameServer:
    """Serves `resolver` at `address` in the network of `machine`. `await start()` returns when it listens."""

    def __init__(self, machine: str, address: str, runtime: RuntimeClient, resolver: Resolver, clock: Clock) -> None:
        self._machine, self._address, self._runtime = machine, address, runtime
        self._resolver, self._clock = resolver, clock
        self._udp: asyncio.BaseTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if not self._address:
            return
        try:
            await self._open()
        except (OSError, RuntimeServiceError) as error:
            log.warning("cluster DNS does not listen yet: %s", error)
            self.restart()

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._close()

    def restart(self) -> None:
        """The machine was made anew: listen in the new one, as soon as that can be done."""
        self._close()
        if self._address:
            self._spawn(self._open_at_last())

    async def _open_at_last(self) -> None:
        while True:
            try:
                return await self._open()
            except (OSError, RuntimeServiceError) as error:
                log.warning("cluster DNS does not listen: %s", error)
            await self._clock.sleep(RETRY_SECONDS)

    async def _open(self) -> None:
        await self._runtime.add_address(self._machine, self._address)
        loop = asyncio.get_running_loop()
        datagrams = await self._bind(socket.SOCK_DGRAM)
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        self._tcp = await asyncio.start_server(self._serve_connection, sock=await self._bind(socket.SOCK_STREAM))

    async def _bind(self, kind: socket.SocketKind) -> socket.socket:
        """Machines that share the host's network (level process) all listen at the one address."""
        made = await self._runtime.open_socket(self._machine, type=kind)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((self._address, PORT))
        except BaseException:
            made.close()
            raise
        return made

    def _close(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        self._udp = self._tcp = None

    def _spawn(self, job: object) -> None:
        task = asyncio.ensure_future(job)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def received(self, transport: asyncio.DatagramTransport, data: bytes, client: tuple[str, int]) -> None:
        self._spawn(self._answer_datagram(transport, data, client))

    async def _answer_datagram(self, transport: asyncio.DatagramTransport, data: bytes, client: object) -> None:
        answer = await self._resolver.answer(data, udp=True)
        if answer is not None and not transport.is_closing():
            transport.sendto(answer, client)  # type: ignore[arg-type]

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Questions with two bytes of length before each, one after another (RFC 7766)."""
        with contextlib.suppress(TimeoutError, EOFError, ConnectionError):
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    question = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                answer = await self._resolver.answer(question, udp=False)
                if answer is None:
                    break
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.received(self._transport, data, addr)
