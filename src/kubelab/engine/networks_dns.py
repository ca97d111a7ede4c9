"""Docker's embedded name server: 127.0.0.11 in each container that is on a network of one's own.

It answers for names and aliases of the containers on the asker's networks, and asks `--dns`'s servers for the rest.
Upstream: libnetwork's resolver.go. Imported by need, for dnspython is the engine's only use of its memory.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.client import RuntimeClient

if TYPE_CHECKING:
    import dns.message

logger = logging.getLogger(__name__)

NAME_SERVER, PORT = "127.0.0.11", 53
TTL = 600  # seconds
FORWARD_SECONDS = 4.0
Lookup = Callable[[str], list[str]]


class NameServer:
    """One container's. It lives as long as the sandbox that its sockets are in."""

    def __init__(self, lookup: Lookup, forwarders: tuple[str, ...]) -> None:
        self._lookup, self._forwarders = lookup, forwarders
        self._transport: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, runtime: RuntimeClient, sandbox_id: str) -> None:
        self._runtime, self._sandbox = runtime, sandbox_id
        loop = asyncio.get_running_loop()
        made = await runtime.open_socket(sandbox_id, type=socket.SOCK_DGRAM)
        made.bind((NAME_SERVER, PORT))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=made)
        self._tcp = await asyncio.start_server(self._serve, sock=await runtime.listen(sandbox_id, NAME_SERVER, PORT))

    def close(self) -> None:
        for each in (self._transport, self._tcp):
            if each is not None:
                each.close()
        for task in self._tasks:
            task.cancel()

    def spawn(self, data: bytes, address: Any) -> None:
        task = asyncio.ensure_future(self._reply(data, address))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, address: Any) -> None:
        if (answer := await self.answer(data)) and self._transport is not None:
            self._transport.sendto(answer[:65535], address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                answer = await self.answer(await reader.readexactly(length))
                writer.write(len(answer).to_bytes(2) + answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, data: bytes) -> bytes:
        """b"" to what is no question."""
        import dns.exception
        import dns.message
        import dns.rcode

        try:
            question = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return b""
        if not question.question:
            return b""
        response = dns.message.make_response(question, recursion_available=True)
        if not self._know(question, response):
            for server in self._forwarders:
                if forwarded := await self._forward(data, server):
                    return forwarded
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    def _know(self, question: dns.message.Message, response: dns.message.Message) -> bool:
        """Whether the name is one of ours; of such a name an address of version 6 is simply not there."""
        import dns.rdatatype
        import dns.rrset

        asked = question.question[0]
        addresses = self._lookup(asked.name.to_text(omit_final_dot=True))
        if addresses and asked.rdtype in (dns.rdatatype.A, dns.rdatatype.ANY):
            response.answer.append(dns.rrset.from_text(asked.name, TTL, "IN", "A", *addresses))
        return bool(addresses)

    async def _forward(self, data: bytes, server: str) -> bytes:
        """Ask a server that the container can reach. b"" where it does not answer."""
        loop = asyncio.get_running_loop()
        try:
            made = await self._runtime.open_socket(self._sandbox, type=socket.SOCK_DGRAM)
            with made:
                async with asyncio.timeout(FORWARD_SECONDS):
                    await loop.sock_connect(made, (server, PORT))
                    await loop.sock_sendall(made, data)
                    return await loop.sock_recv(made, 65535)
        except (OSError, TimeoutError, RuntimeServiceError) as error:
            logger.debug("name server %s: %s", server, error)
            return b""


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.spawn(data, addr)
