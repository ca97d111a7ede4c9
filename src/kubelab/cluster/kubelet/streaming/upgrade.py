"""Agreeing on a streaming protocol: WebSocket subprotocols, and SPDY with `X-Stream-Protocol-Version`.

Upstream: k8s.io/apimachinery/pkg/util/httpstream (Handshake) and httpstream/spdy/upgrade.go.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from kubelab.cluster.kubelet.streaming.spdy import SpdySession
from kubelab.hijack import hijack

SPDY = "SPDY/3.1"
VERSION_HEADER = "X-Stream-Protocol-Version"
LINGER_SECONDS = 5.0  # that a client gets to take what was sent last, before the connection is closed


class UpgradeRefused(Exception):
    """No common protocol. `response` says so to the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.response = web.Response(status=status, text=message)


@dataclass
class SpdyConnection:
    """A native SPDY session, and the response to return from the handler."""

    session: SpdySession
    response: web.StreamResponse


def is_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def websocket_protocol(request: web.Request, served: list[str]) -> str:
    """The first of the client's subprotocols that is served. Raises UpgradeRefused."""
    asked = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
    return _first_common(asked, served, status=400)


def spdy_protocol(request: web.Request, served: list[str]) -> str:
    """The same for SPDY, whose clients name one protocol a header line. Raises UpgradeRefused."""
    if request.headers.get("Upgrade", "").lower() != SPDY.lower():
        raise UpgradeRefused(400, "unable to upgrade: missing upgrade headers in request")
    asked = [name.strip() for line in request.headers.getall(VERSION_HEADER, []) for name in line.split(",")]
    return _first_common(asked, served, status=403)


def _first_common(asked: list[str], served: list[str], *, status: int) -> str:
    for name in asked:
        if name in served:
            return name
    raise UpgradeRefused(
        status, f"unable to upgrade: unable to negotiate protocol: client supports {asked}, server accepts {served}"
    )


@asynccontextmanager
async def spdy_connection(request: web.Request, protocol: str) -> AsyncIterator[SpdyConnection]:
    """Switch a request to SPDY. At the end the client gets the time to take what was sent last."""
    headers = [("Connection", "Upgrade"), ("Upgrade", SPDY), (VERSION_HEADER, protocol)]
    hijacked = await hijack(request, 101, headers)

    async def send(data: bytes) -> None:
        hijacked.writer.write(data)
        await hijacked.writer.drain()

    async with SpdySession(hijacked.reader.readexactly, send, server=True) as session:
        yield SpdyConnection(session, hijacked.response)
        await session.linger(LINGER_SECONDS)
