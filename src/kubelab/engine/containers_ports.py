"""Published ports: listeners on the host's loopback whose connections go to the container.

Docker's userland proxy plays this part upstream (moby: cmd/docker-proxy, libnetwork/portallocator). Only TCP is served,
and only on the loopback, whatever address a client asks for: nothing of the lab is to be reached from another machine.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubelab.engine.errors import DockerError
from kubelab.hijack import splice

logger = logging.getLogger(__name__)

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
ANY = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Publication:
    """One port of a container on one of the host's; host port 0 is any free one."""

    port: int
    host_ip: str
    host_port: int

    @property
    def key(self) -> str:
        return f"{self.port}/tcp"


def publications(config: dict[str, Any], host: dict[str, Any]) -> list[Publication]:
    """What `-p` and `-P` ask for. Raises DockerError 400."""
    found = []
    for key, bindings in (host.get("PortBindings") or {}).items():
        port = _port(key)
        for binding in bindings or [{}]:
            ip, text = binding.get("HostIp") or "", binding.get("HostPort") or "0"
            if ip not in ANY and not ip.startswith("127.") and ip != "localhost":
                raise DockerError(400, f"cannot publish on {ip}: this engine serves ports on the loopback only")
            if not text.isdigit() or int(text) > 65535:
                raise DockerError(400, f"invalid port specification: {text!r}: one host port is expected")
            found.append(Publication(port, "" if ip in ANY else ip, int(text)))
    if host.get("PublishAllPorts"):
        bound = {each.port for each in found}
        found += [Publication(_port(key), "", 0) for key in config.get("ExposedPorts") or {} if _port(key) not in bound]
    return found


def _port(key: str) -> int:
    number, _, protocol = key.partition("/")
    if protocol not in ("", "tcp"):
        raise DockerError(400, f"cannot publish {key}: this engine publishes TCP ports only")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise DockerError(400, f"invalid port specification: {key!r}")
    return int(number)


class PublishedPorts:
    """The listeners of one running container."""

    def __init__(self, host_address: str, dial: Dial) -> None:
        self._host_address, self._dial = host_address, dial
        self._servers: list[asyncio.Server] = []
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
        address = wanted.host_ip or self._host_address

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._forward(wanted.port, reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        try:
            server = await asyncio.start_server(connected, address, wanted.host_port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"Bind for {address}:{wanted.host_port} failed: port is already allocated"
            else:
                message = f"listen tcp4 {address}:{wanted.host_port}: bind: {(error.strerror or str(error)).lower()}"
            raise DockerError(500, message) from error
        self._servers.append(server)
        port = server.sockets[0].getsockname()[1]
        self.bindings.setdefault(wanted.key, []).append({"HostIp": address, "HostPort": str(port)})

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
