"""A watcher that does not read costs nobody else anything, and is let go."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from engines.api.conftest import Cluster
from engines.cluster.lab import eventually
from kubelab.cluster.client import APIClient
from kubelab.cluster.resources import CONFIGMAPS

CHANGES = 2500
SIZE = 8000  # bytes an object: together more than all buffers between server and client hold


@contextmanager
def stalled(cluster: Cluster, path: str) -> Iterator[None]:
    """A watch whose client reads the first bytes of the answer and then nothing more."""
    trust = cluster.trust
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(("127.0.0.1", cluster.server.port))
    with trust.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {cluster.token}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 200")
        yield


def watchers(cluster: Cluster, namespace: str) -> int:
    """How many watches of the namespace's config maps the server feeds."""
    prefix = cluster.server.registry.prefix(CONFIGMAPS, namespace)
    return cluster.call(lambda: sum(each.prefix == prefix for each in cluster.server.registry.store._fanout._watchers))


async def watched_by(count: int, cluster: Cluster, namespace: str) -> None:
    async def as_many() -> bool:
        return await asyncio.to_thread(watchers, cluster, namespace) == count

    await eventually(as_many, f"{count} watches are fed")


async def test_it_is_cut_off_and_the_others_see_everything(cluster: Cluster, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    seen: list[int] = []
    async with APIClient.from_kubeconfig(cluster.home.kubeconfig) as client:
        obj = {"metadata": {"name": "busy", "namespace": namespace}, "data": {"turn": "0", "x": "y" * SIZE}}
        obj = await client.create(CONFIGMAPS, obj)
        start = obj["metadata"]["resourceVersion"]

        async def follow() -> None:
            async for _, changed in client.watch(CONFIGMAPS, namespace, resource_version=start):
                seen.append(int(changed["data"]["turn"]))

        following = asyncio.ensure_future(follow())
        try:
            with stalled(cluster, f"{path}?watch=1&resourceVersion={start}"):
                await watched_by(2, cluster, namespace)
                for turn in range(1, CHANGES + 1):
                    obj = await client.update(CONFIGMAPS, {**obj, "data": {**obj["data"], "turn": str(turn)}})
                await watched_by(1, cluster, namespace)

                async def all_seen() -> bool:
                    return len(seen) == CHANGES

                await eventually(all_seen, "the other watch has seen every change")
        finally:
            following.cancel()
    assert seen == list(range(1, CHANGES + 1))
