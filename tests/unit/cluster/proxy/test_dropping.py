"""A port that neither answers nor refuses."""

from __future__ import annotations

import socket

import pytest

from kubelab.cluster.proxy.dropping import DroppingPort
from kubelab.cluster.proxy.rules import Backend


async def test_connections_get_no_answer_until_it_is_closed() -> None:
    bound, filler = socket.socket(), socket.socket()
    filler.setblocking(False)
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    port = DroppingPort(Backend(("ns", "shop"), (), drop=True), filler)
    await port.start(bound)
    with socket.socket() as client:
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.connect(address)
    port.close()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(address)


async def test_datagrams_are_not_read() -> None:
    bound, filler = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    bound.bind(("127.0.0.1", 0))
    port = DroppingPort(Backend(("ns", "shop"), (), drop=True), filler)
    await port.start(bound)
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(bound.getsockname())
        assert client.send(b"hello") == 5
    port.close()
