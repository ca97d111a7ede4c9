"""gRPC probes against a server that answers by hand (upstream: pkg/probe/grpc/grpc_test.go)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from grpc_health import Health, Server
from kubelab.cluster.kubelet.prober.grpc import check


@pytest.fixture
def port() -> Iterator[int]:
    with Server(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


async def dial(host: str, port: int, _: float) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(host, port)


@pytest.mark.parametrize(
    ("service", "answer"),
    [
        ("", (True, "service healthy")),
        ("up", (True, "service healthy")),
        ("down", (False, 'service unhealthy (responded with "NOT_SERVING")')),
        ("other", (False, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service")),
    ],
)
async def test_answers(port: int, service: str, answer: tuple[bool, str]) -> None:
    assert await check(dial, "127.0.0.1", port, service, 5) == answer


async def test_nobody_listens() -> None:
    with Server(("127.0.0.1", 0), Health) as server:
        port = server.server_address[1]
    late = f'timeout: failed to connect service "127.0.0.1:{port}" within 0.2s: context deadline exceeded'
    assert await check(dial, "127.0.0.1", port, "", 0.2) == (False, late)


async def test_a_server_that_says_nothing() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        answer = await check(dial, "127.0.0.1", port, "", 0.2)
    assert answer == (False, "timeout: health rpc did not complete within 0.2s")


async def test_a_server_that_speaks_another_protocol() -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b" " * 100)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        ok, said = await check(dial, "127.0.0.1", port, "", 2)
    assert not ok and said.startswith("error: health rpc probe failed: rpc error: code = Unavailable")
