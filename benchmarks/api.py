"""How many requests a second the API server answers, and how soon a watch tells of a write.

The load comes from four clients of the kind that the engine's own components are (`APIClient`), in one process beside
the server's: a client in Python that is slower would measure itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

from benchmarks.lab import Lab
from kubelab.cluster.client import APIClient
from kubelab.cluster.resources import CONFIGMAPS

CLIENTS = 4
WRITES = 1000  # by all clients together
READS = 2000
EVENTS = 200
NAMESPACE = "default"


@asynccontextmanager
async def _clients(lab: Lab, count: int) -> AsyncIterator[list[APIClient]]:
    async with AsyncExitStack() as stack:
        makers = [APIClient.from_kubeconfig(lab.home.kubeconfig, user_agent="bench") for _ in range(count)]
        yield [await stack.enter_async_context(each) for each in makers]


def _config_map(name: str, value: int = 0) -> dict:
    return {"metadata": {"name": name, "labels": {"app": "bench"}}, "data": {"value": str(value)}}


def writes(runs: int) -> Iterator[float]:
    """Creates, updates and deletes a second, a third of each, by four clients at a time."""

    async def one(client: APIClient, number: int) -> None:
        for turn in range(WRITES // CLIENTS // 3):
            name = f"bench-{number}-{turn}"
            obj = await client.create(CONFIGMAPS, _config_map(name), NAMESPACE)
            await client.update(CONFIGMAPS, {**obj, "data": {"value": "1"}})
            await client.delete(CONFIGMAPS, name, NAMESPACE)

    async def run(lab: Lab) -> float:
        async with _clients(lab, CLIENTS) as clients:
            started = time.monotonic()
            await asyncio.gather(*(one(client, number) for number, client in enumerate(clients)))
            return WRITES // CLIENTS // 3 * 3 * CLIENTS / (time.monotonic() - started)

    with Lab() as lab:
        for _ in range(runs):
            yield asyncio.run(run(lab))


def reads(runs: int) -> Iterator[float]:
    """GETs of one object a second, by four clients at a time."""

    async def one(client: APIClient) -> None:
        for _ in range(READS // CLIENTS):
            await client.get(CONFIGMAPS, "kube-root-ca.crt", NAMESPACE)

    async def run(lab: Lab) -> float:
        async with _clients(lab, CLIENTS) as clients:
            started = time.monotonic()
            await asyncio.gather(*map(one, clients))
            return READS / (time.monotonic() - started)

    with Lab() as lab:
        for _ in range(runs):
            yield asyncio.run(run(lab))


def watch_latency(runs: int) -> Iterator[float]:
    """Milliseconds from sending a write to its event in another client's watch; the median of 200 writes."""

    async def run(lab: Lab) -> float:
        async with _clients(lab, 2) as (writer, watcher):
            begun: dict[str, float] = {}
            took: list[float] = []
            start = (await watcher.list(CONFIGMAPS, NAMESPACE))["metadata"]["resourceVersion"]

            async def follow() -> None:
                async for _, obj in watcher.watch(CONFIGMAPS, NAMESPACE, resource_version=start):
                    took.append(time.monotonic() - begun[obj["data"]["value"]])
                    if len(took) == EVENTS:
                        return

            following = asyncio.ensure_future(follow())
            begun["0"] = time.monotonic()
            obj = await writer.create(CONFIGMAPS, _config_map("bench"), NAMESPACE)
            for turn in range(1, EVENTS):
                begun[str(turn)] = time.monotonic()
                obj = await writer.update(CONFIGMAPS, {**obj, "data": {"value": str(turn)}})
            await following
            await writer.delete(CONFIGMAPS, "bench", NAMESPACE)
            return median(took) * 1000

    with Lab() as lab:
        for _ in range(runs):
            yield asyncio.run(run(lab))
