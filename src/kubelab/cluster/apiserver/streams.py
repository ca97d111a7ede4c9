"""Pass a request on to a backend and its answer back, byte for byte: what `connect.py` and `proxy.py` stand on.

Upstream: k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go. The client's connection is taken over once the backend's
head is there, so that upgraded protocols, followed logs and slow downloads all stream alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from kubelab.cluster.apiserver import errors
from kubelab.cluster.resources import NODES, Resource
from kubelab.hijack import CHUNK, hijack, splice

Get = Callable[[Resource, str, str], dict[str, Any]]  # resource, namespace, name; raises StatusError 404

ENDPOINT_ANNOTATION = "kubelab.dev/kubelet-endpoint"
MAX_HEAD = 64 * 1024  # bytes of a response's head
MAX_ERROR = 50 * 1024  # bytes of an error's body that are passed on in a Status
# RFC 9110, section 7.6.1: they concern one connection only.
HOP_BY_HOP = ("Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Upgrade")


class BadGateway(Exception):
    """The backend did not answer in HTTP."""


@dataclass
class ResponseHead:
    status: int
    reason: str
    headers: CIMultiDict[str]

    @property
    def upgraded(self) -> bool:
        return self.status == 101


class Backend:
    """One connection to a backend, for one request. `close()` when its answer is not relayed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.token = ""  # for what the backend itself asks its clients for

    @classmethod
    async def connect(cls, host: str, port: int) -> Backend:
        """Raises OSError."""
        return cls(*await asyncio.open_connection(host, port, limit=MAX_HEAD))

    def close(self) -> None:
        self.writer.close()

    async def request(
        self, method: str, target: str, headers: Iterable[tuple[str, str]], body: AsyncIterator[bytes] | None = None
    ) -> ResponseHead:
        """Send a request and read the head of its answer. A backend that answers before it has read the whole body is
        heard. Raises BadGateway, or ConnectionError."""
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
        sending = asyncio.ensure_future(self._send(body))
        receiving = asyncio.ensure_future(self._head())
        try:
            return await receiving
        finally:
            sending.cancel()
            receiving.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, body: AsyncIterator[bytes] | None) -> None:
        async for data in body or _nothing():
            self.writer.write(data)
            await self.writer.drain()

    async def _head(self) -> ResponseHead:
        while True:
            try:
                raw = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                raise BadGateway("EOF") from error
            except asyncio.LimitOverrunError as error:
                raise BadGateway("the response's head is too long") from error
            head = parse_head(raw)
            if head.status == 101 or head.status >= 200:  # others announce the answer, and are not passed on
                return head

    async def text(self, head: ResponseHead) -> str:
        """The body of an answer, at most `MAX_ERROR` bytes, for a message. The connection may stay open after it."""
        length = head.headers.get("Content-Length", "")
        wanted = min(int(length), MAX_ERROR) if length.isdigit() else MAX_ERROR
        data = b""
        while len(data) < wanted and (more := await self.reader.read(min(CHUNK, wanted - len(data)))):
            data += more
        return data.decode(errors="replace")


def parse_head(raw: bytes) -> ResponseHead:
    """A response's status line and headers. Raises BadGateway."""
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    version, _, rest = first.partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not status.isdigit():
        raise BadGateway(f'malformed HTTP response "{first[:100]}"')
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        name, _, value = line.partition(":")
        headers.add(name.strip(), value.strip())
    return ResponseHead(int(status), reason, headers)


class Kubelets:
    """How the API server reaches the kubelets: address from the Node, token from the node's configuration."""

    def __init__(self, get: Get, token: Callable[[str], str]) -> None:
        self._get, self._token = get, token

    async def connect(self, node: str) -> tuple[Backend, str]:
        """A connection to a node's kubelet, and the bearer token for it. StatusError 404, or 500 where it is down."""
        endpoint = self._get(NODES, "", node)["metadata"].get("annotations", {}).get(ENDPOINT_ANNOTATION, "")
        host, _, port = endpoint.rpartition(":")
        if not host:
            raise errors.internal(f"no preferred addresses found; known addresses: [] of node {node}")
        try:
            return await Backend.connect(host, int(port)), self._token(node)
        except OSError as error:
            cause = (error.strerror or str(error)).lower()
            message = f"error dialing backend: dial tcp {endpoint}: connect: {cause}"
            raise errors.StatusError(500, "", message) from error


def end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """Headers without those that concern one connection only, the ones that `Connection` names among them."""
    kept = CIMultiDict(headers)
    named = [name.strip() for name in kept.get("Connection", "").split(",")]
    for name in (*HOP_BY_HOP, *named):
        kept.popall(name, None)
    return kept


async def relay(request: web.Request, head: ResponseHead, backend: Backend) -> web.StreamResponse:
    """Answer the client with a backend's head and all that follows it. The connection ends with the answer."""
    try:
        headers = head.headers
        if not head.upgraded:
            headers = end_to_end(headers)
            headers["Connection"] = "close"
        hijacked = await hijack(request, head.status, headers.items(), head.reason)
        await splice(hijacked.reader, hijacked.writer, backend.reader, backend.writer)
        return hijacked.response
    finally:
        backend.close()


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield
