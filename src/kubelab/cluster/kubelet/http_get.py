"""One HTTP GET over a connection made inside the node, as probes and lifecycle hooks send it.

Upstream: pkg/probe/http (DoHTTPProbe) over Go's net/http, whose error texts students meet in events. No keep-alive,
certificates are not verified, at most 10 KiB of the body are read.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

USER_AGENT = "kube-probe/1.33"
BODY_LIMIT = 10 * 1024
MAX_REDIRECTS = 10

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[str, int, float], Awaitable[Streams]]  # host, port, timeout


class HTTPError(Exception):
    """The request got no answer; the message is what Go's client says."""


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes
    left_host: bool = False  # the answer is a redirect to another host, which was not followed


async def http_get(dial: Dial, url: str, headers: dict[str, str], seconds: float) -> Response:
    """GET `url`, following redirects on the same host. HTTPError where no answer comes within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await _follow(dial, url, headers, seconds)
    except TimeoutError:
        reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    except OSError as error:
        reason = describe_os_error(error, urlsplit(url).netloc)
    except (EOFError, asyncio.IncompleteReadError):
        reason = "EOF"
    except (ValueError, asyncio.LimitOverrunError) as error:
        reason = f"malformed HTTP response: {error}"
    raise HTTPError(f'Get "{url}": {reason}')


def describe_os_error(error: OSError, address: str) -> str:
    """`dial tcp 10.244.1.5:80: connect: connection refused`, as Go words it."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    return f"dial tcp {address}: connect: {reason}"


async def _follow(dial: Dial, url: str, headers: dict[str, str], seconds: float) -> Response:
    host = urlsplit(url).hostname
    for _ in range(MAX_REDIRECTS):
        response = await _once(dial, url, headers, seconds)
        location = response.headers.get("location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return response
        url = urljoin(url, location)
        if urlsplit(url).hostname != host:
            return Response(response.status, response.headers, response.body, left_host=True)
    raise ValueError(f"stopped after {MAX_REDIRECTS} redirects")


async def _once(dial: Dial, url: str, headers: dict[str, str], seconds: float) -> Response:
    parts = urlsplit(url)
    reader, writer = await dial(parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80), seconds)
    try:
        if parts.scheme == "https":
            await writer.start_tls(_unverified())
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(_request(target, parts.netloc, headers))
        await writer.drain()
        return await _response(reader)
    finally:
        writer.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _request(target: str, host: str, headers: dict[str, str]) -> bytes:
    sent = {"Host": host, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for name, value in headers.items():
        sent = {k: v for k, v in sent.items() if k.lower() != name.lower()}
        if value or name.lower() not in ("user-agent", "accept"):  # an empty value takes these two away
            sent[name] = value
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


async def _response(reader: asyncio.StreamReader) -> Response:
    line = (await reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")
    version, _, rest = line.partition(" ")
    if not version.startswith("HTTP/") or not rest[:3].isdigit():
        raise ValueError(f'"{line}"')
    headers: dict[str, str] = {}
    while (line := (await reader.readuntil(b"\n")).decode("latin-1").strip()) != "":
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "")
    body = await _read(reader, min(int(length), BODY_LIMIT) if length.isdigit() else BODY_LIMIT)
    return Response(int(rest[:3]), headers, body)


async def _read(reader: asyncio.StreamReader, most: int) -> bytes:
    data = b""
    while len(data) < most and (chunk := await reader.read(most - len(data))):
        data += chunk
    return data
