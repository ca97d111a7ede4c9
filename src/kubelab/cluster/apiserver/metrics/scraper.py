"""Reads every node's `/metrics/resource`. Upstream: metrics-server's pkg/scraper; `--metric-resolution` is its flag."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

from kubelab.cluster import times
from kubelab.cluster.apiserver.errors import StatusError
from kubelab.cluster.apiserver.metrics.points import Points, Scrape, parse
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.streams import BadGateway, Kubelets
from kubelab.cluster.resources import NODES

log = logging.getLogger(__name__)
RESOLUTION = "15s"
FIRST = 1.0  # seconds between the first two readings, so that there are figures soon after the start
TIMEOUT = 10.0


def resolution(path: Path) -> float:
    """Seconds, from `config/metrics-server.json` where there is one: {"metric-resolution": "15s"}."""
    settings = json.loads(path.read_text()) if path.exists() else {}
    return times.duration(settings.get("metric-resolution", RESOLUTION))


class Scraper:
    """Keeps `points` up to date while `run()` runs."""

    def __init__(self, registry: Registry, kubelets: Kubelets, seconds: float) -> None:
        self._registry, self._kubelets, self._seconds = registry, kubelets, seconds
        self.points = Points()

    async def run(self) -> None:
        """For ever."""
        pause = min(FIRST, self._seconds)
        while True:
            nodes = [record.load()["metadata"]["name"] for record in self._registry.records(NODES)]
            answers = await asyncio.gather(*map(self._scrape, nodes))
            known = {node: scrape for node, scrape in zip(nodes, answers, strict=True) if scrape is not None}
            for node, scrape in known.items():
                self.points.add(node, scrape)
            self.points.keep(set(known))
            await self._registry.clock.sleep(pause)
            pause = self._seconds if known else pause

    async def _scrape(self, node: str) -> Scrape | None:
        try:
            async with asyncio.timeout(TIMEOUT):
                return parse(await self._fetch(node))
        except (StatusError, BadGateway, OSError, TimeoutError) as error:
            log.debug("unable to scrape node %s: %s", node, error)
            return None

    async def _fetch(self, node: str) -> str:
        backend, token = await self._kubelets.connect(node)
        try:
            headers = [("Host", "kubelet"), ("Authorization", f"Bearer {token}"), ("Connection", "close")]
            head = await backend.request("GET", "/metrics/resource", headers)
            if head.status != 200:
                raise BadGateway(f"kubelet answered {head.status}")
            return (await backend.reader.readexactly(int(head.headers["Content-Length"]))).decode()
        finally:
            backend.close()
