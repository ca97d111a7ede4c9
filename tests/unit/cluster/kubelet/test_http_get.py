"""The probes' HTTP client, against servers that answer as told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from kubelab.cluster.kubelet.http_get import BODY_LIMIT, HTTPError, Streams, http_get


async def dial(host: str, port: int, _: float) -> Streams:
    return await asyncio.open_connection(host, port)


@contextlib.asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server's address, and the requests it got. It answers one after another, an empty answer means silence."""
    requests: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        answer = answers[min(len(requests), len(answers)) - 1]
        if not answer:
            await reader.read()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}", requests


async def test_a_request_is_a_probes() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (address, requests):
        response = await http_get(dial, f"http://{address}/healthz?full=1", {"X-Token": "t"}, 5)
    assert (response.status, response.body) == (200, b"ok")
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /healthz?full=1 HTTP/1.1"
    assert {f"Host: {address}", "User-Agent: kube-probe/1.33", "Connection: close", "X-Token: t"} < set(lines)


async def test_headers_can_be_replaced() -> None:
    async with answering(b"HTTP/1.1 204 No Content\r\n\r\n") as (address, requests):
        await http_get(dial, f"http://{address}/", {"host": "shop.example", "user-agent": "me"}, 5)
    assert b"host: shop.example" in requests[0] and b"Host: 127" not in requests[0] and b"kube-probe" not in requests[0]


@pytest.mark.parametrize("code", [200, 302, 404, 500, 503])
async def test_status_codes(code: int) -> None:
    async with answering(f"HTTP/1.0 {code} X\r\n\r\n".encode()) as (address, _):
        assert (await http_get(dial, f"http://{address}/", {}, 5)).status == code


async def test_redirects_on_the_same_host_are_followed() -> None:
    moved, fine = b"HTTP/1.1 302 Found\r\nLocation: /there\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"
    async with answering(moved, fine) as (address, requests):
        assert (await http_get(dial, f"http://{address}/", {}, 5)).status == 200
    assert requests[1].startswith(b"GET /there ")


async def test_redirects_to_another_host_are_not() -> None:
    async with answering(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\n\r\nbye") as (address, requests):
        response = await http_get(dial, f"http://{address}/", {}, 5)
    assert (response.left_host, response.body, len(requests)) == (True, b"bye", 1)


async def test_redirects_in_a_circle_end() -> None:
    async with answering(b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n") as (address, requests):
        with pytest.raises(HTTPError, match="stopped after 10 redirects"):
            await http_get(dial, f"http://{address}/", {}, 5)
    assert len(requests) == 10


async def test_no_more_than_10_kib_of_the_body_are_read() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000) as (address, _):
        assert len((await http_get(dial, f"http://{address}/", {}, 5)).body) == BODY_LIMIT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", r"context deadline exceeded \(Client.Timeout exceeded while awaiting headers\)"),
        (b"HTTP/1.1 200", "EOF"),
        (b"SSH-2.0-OpenSSH\r\n", "malformed HTTP response"),
    ],
)
async def test_what_is_no_answer(answer: bytes, reason: str) -> None:
    async with answering(answer) as (address, _):
        with pytest.raises(HTTPError, match=f'^Get "http://{address}/": {reason}'):
            await http_get(dial, f"http://{address}/", {}, 0.2)


async def test_a_closed_port() -> None:
    async with answering(b"x") as (address, _):
        pass
    with pytest.raises(HTTPError, match=f"dial tcp {address}: connect: connection refused"):
        await http_get(dial, f"http://{address}/", {}, 5)
