"""The gRPC health check, as a client that knows this one call: grpc.health.v1.Health/Check over HTTP/2.

Upstream: pkg/probe/grpc/grpc.go, whose messages these are; https://github.com/grpc/grpc/blob/master/doc/health-checking.md
and PROTOCOL-HTTP2.md. The library h2 speaks HTTP/2; it is loaded by the first probe of this kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import unquote

PATH = "/grpc.health.v1.Health/Check"
STATUSES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
SERVING = 1
UNIMPLEMENTED = 12
CODES = {1: "Canceled", 2: "Unknown", 3: "InvalidArgument", 4: "DeadlineExceeded", 5: "NotFound", 7: "PermissionDenied"}
CODES |= {8: "ResourceExhausted", 12: "Unimplemented", 13: "Internal", 14: "Unavailable", 16: "Unauthenticated"}
RECONNECT_SECONDS = 0.1
USER_AGENT = "kube-probe/1.33"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int, float], Awaitable[Streams]]


@dataclass
class Reply:
    """What came back: `status` is gRPC's, -1 while there is none."""

    status: int = -1
    message: str = ""
    http_status: str = ""
    body: bytes = field(default=b"")


async def check(dial: Dial, host: str, port: int, service: str, seconds: float) -> tuple[bool, str]:
    """Whether the service says that it serves, and upstream's words for the event."""
    address = f"{host}:{port}"
    limit = f"{seconds:g}s"
    streams: Streams | None = None
    try:
        async with asyncio.timeout(seconds):
            streams = await _connect(dial, host, port, seconds)
            reply = await _call(*streams, address, service)
    except TimeoutError:
        if streams is None:
            late = "context deadline exceeded"
            return False, f'timeout: failed to connect service "{address}" within {limit}: {late}'
        return False, f"timeout: health rpc did not complete within {limit}"
    except (OSError, EOFError, ValueError) as error:
        said = f'rpc error: code = Unavailable desc = connection error: desc = "{error}"'
        return False, f"error: health rpc probe failed: {said}"
    finally:
        if streams is not None:
            streams[1].close()
    return _judge(reply)


async def _connect(dial: Dial, host: str, port: int, seconds: float) -> Streams:
    """As gRPC's blocking dial: tries until it is let in, or the time is over."""
    while True:
        try:
            return await dial(host, port, seconds)
        except OSError:
            await asyncio.sleep(RECONNECT_SECONDS)


async def _call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, service: str) -> Reply:
    import h2.config
    import h2.connection
    import h2.exceptions

    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    headers = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", authority)]
    headers += [("content-type", "application/grpc"), ("user-agent", USER_AGENT), ("te", "trailers")]
    connection.send_headers(1, headers)
    connection.send_data(1, _frame(service), end_stream=True)
    reply = Reply()
    ended = False
    while not ended:
        writer.write(connection.data_to_send())
        data = await reader.read(65536)
        if not data:
            raise EOFError("EOF")
        try:
            ended = _take(connection, connection.receive_data(data), reply)
        except h2.exceptions.ProtocolError as error:
            raise ValueError(f"error reading server preface: {error}") from error
    return reply


def _take(connection: object, events: list, reply: Reply) -> bool:
    """Note what came; True when the answer is complete."""
    import h2.events

    for event in events:
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            headers = dict(event.headers)
            reply.http_status = headers.get(":status", reply.http_status)
            if "grpc-status" in headers:
                reply.status, reply.message = int(headers["grpc-status"]), unquote(headers.get("grpc-message", ""))
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)  # type: ignore[attr-defined]
        elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
            raise EOFError("the server ended the call")
        if isinstance(event, h2.events.StreamEnded):
            return True
    return False


def _frame(service: str) -> bytes:
    """HealthCheckRequest{service = 1} as a gRPC message: not compressed, four bytes of length."""
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(body).to_bytes(4, "big") + body


def _varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made += bytes([number & 127 | 128])
        number >>= 7
    return made + bytes([number])


def _judge(reply: Reply) -> tuple[bool, str]:
    if reply.status == UNIMPLEMENTED:
        text = "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return False, f"{text}: {reply.message}"
    if reply.status != 0:
        code = CODES.get(reply.status, "Unknown")
        said = reply.message or f"unexpected HTTP status code received from server: {reply.http_status}"
        return False, f"error: health rpc probe failed: rpc error: code = {code} desc = {said}"
    message = reply.body[5:]  # HealthCheckResponse{status = 1}: tag 0x08 and a number, nothing for 0
    status = message[1] if message[:1] == b"\x08" and len(message) > 1 else 0
    if status != SERVING:
        return False, f'service unhealthy (responded with "{STATUSES.get(status, status)}")'
    return True, "service healthy"
