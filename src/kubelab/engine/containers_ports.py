"""Published ports: listeners on the host's loopback whose connections go to the container.

Docker's userland proxy plays this part upstream (moby: cmd/docker-proxy, libnetwork/portallocator). They are served
only on the loopback, whatever address a client asks for: nothing of the lab is to be reached from another machine.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubelab.engine.containers_udp import OpenSocket, UDPForwarder
from kubelab.engine.errors import DockerError
from kubelab.hijack import splice

logger = logging.getLogger(__name__)

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Publication:
    """One port of a container on one of the host's; host port 0 is any free one, of a range the first that is free."""

    port: int
    host_ip: str
    host_port: int
    protocol: str = "tcp"
    last_host_port: int = 0  # of a range; 0: there is but one

    @property
    def key(self) -> str:
        return f"{self.port}/{self.protocol}"

    @property
    def host_ports(self) -> range:
        return range(self.host_port, max(self.host_port, self.last_host_port) + 1)


def publications(config: dict[str, Any], host: dict[str, Any]) -> list[Publication]:
    """What `-p` and `-P` ask for. Raises DockerError 400."""
    found = []
    for key, bindings in (host.get("PortBindings") or {}).items():
        port, protocol = _port(key)
        for binding in bindings or [{}]:
            ip, text = binding.get("HostIp") or "", binding.get("HostPort") or "0"
            if ip not in ANY and not ip.startswith("127.") and ip != "localhost":
                raise DockerError(400, f"cannot publish on {ip}: this engine serves ports on the loopback only")
            first, last = _host_ports(text)
            found.append(Publication(port, "" if ip in ANY else ip, first, protocol, last))
    if host.get("PublishAllPorts"):
        bound = {(each.port, each.protocol) for each in found}
        exposed = [_port(key) for key in config.get("ExposedPorts") or {}]
        found += [Publication(port, "", 0, protocol) for port, protocol in exposed if (port, protocol) not in bound]
    return found


def _port(key: str) -> tuple[int, str]:
    number, _, protocol = key.partition("/")
    if protocol not in ("", "tcp", "udp"):
        raise DockerError(400, f"cannot publish {key}: this engine publishes TCP and UDP ports only")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise DockerError(400, f'invalid port specification: "{key}"')
    return int(number), protocol or "tcp"


def _host_ports(text: str) -> tuple[int, int]:
    """The first and the last of `8000` or `8000-8010`."""
    first, _, last = text.partition("-")
    if not all(each.isdigit() and int(each) < 65536 for each in (first, last or first)) or int(last or first) < int(
        first
    ):
        raise DockerError(400, f'invalid port specification: "{text}"')
    return int(first), int(last or 0)


class PublishedPorts:
    """The listeners of one running container."""

    def __init__(
        self, host_address: str, dial: Dial, open_socket: OpenSocket | None = None, ip: Callable[[], str] = lambda: ""
    ) -> None:
        self._host_address, self._dial, self._open_socket, self._ip = host_address, dial, open_socket, ip
        self._servers: list[asyncio.Server | asyncio.BaseTransport] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.bindings: dict[str, list[dict[str, str]]] = {}  # as inspect shows them

    async def open(self, wanted: list[Publication]) -> None:
        """Listen on all of them. Raises DockerError 500 where one is taken; then none is open."""
        try:
            for each in wanted:
                await self._open(each)
        except BaseException:
            self.close()
            raise

    async def _open(self, wanted: Publication) -> None:
        """The first port of its range that is free."""
        address = wanted.host_ip or self._host_address
        for port in wanted.host_ports:
            try:
                opened = await (self._listen if wanted.protocol == "tcp" else self._receive)(wanted, address, port)
                break
            except OSError as error:
                if error.errno == errno.EADDRINUSE and port != wanted.host_ports[-1]:
                    continue
                raise _taken(error, wanted.protocol, address, port) from error
        self.bindings.setdefault(wanted.key, []).append({"HostIp": address, "HostPort": str(opened)})

    async def _receive(self, wanted: Publication, address: str, port: int) -> int:
        loop = asyncio.get_running_loop()
        assert self._open_socket is not None

        def forwarder() -> UDPForwarder:
            return UDPForwarder(self._open_socket, lambda: (self._ip(), wanted.port))

        transport, _ = await loop.create_datagram_endpoint(forwarder, local_addr=(address, port))
        self._servers.append(transport)
        return transport.get_extra_info("sockname")[1]

    async def _listen(self, wanted: Publication, address: str, port: int) -> int:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._forward(wanted.port, reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        server = await asyncio.start_server(connected, address, port)
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await splice(reader, writer, *await self._dial(port))
        except OSError as error:
            logger.debug("published port %d: %s", port, error)
        finally:
            writer.close()

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()
        self._servers.clear()
        self.bindings = {}


def _taken(error: OSError, protocol: str, address: str, port: int) -> DockerError:
    """In dockerd's words."""
    if error.errno == errno.EADDRINUSE:
        return DockerError(500, f"Bind for {address}:{port} failed: port is already allocated")
    return DockerError(500, f"listen {protocol}4 {address}:{port}: bind: {(error.strerror or str(error)).lower()}")
