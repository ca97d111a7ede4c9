"""`python -m kubelab.cluster.controlplane`: API server, controllers and scheduler in one process.

Controllers and scheduler speak HTTPS to the API server like everybody else, each with a kubeconfig of its own. Where
one of the three fails, the process ends, and the supervisor starts it again: all state is in the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kubelab.clock import Clock, RealClock
from kubelab.cluster import controllers, scheduler
from kubelab.cluster.apiserver import bootstrap, housekeeping, kinds, schema
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.metrics import scraper
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.apiserver.server import APIServer
from kubelab.cluster.client import APIClient
from kubelab.cluster.store import Store
from kubelab.component import Component, main
from kubelab.home import Home

APISERVER, MANAGER, SCHEDULER = "kube-apiserver", "kube-controller-manager", "kube-scheduler"
METRICS = "metrics-server"


@asynccontextmanager
async def api_server(
    config: Config, store_path: Path | str, clock: Clock, metric_resolution: float = 15.0
) -> AsyncIterator[APIServer]:
    """A serving API server with what a new cluster holds."""
    schema.types()  # read now, so that the first request need not wait for it
    store = Store(store_path)
    server = APIServer(Registry(store, config, clock, kinds.strategies()), metric_resolution)
    try:
        port = await server.start()
        bootstrap.create(server.registry, config.bind_address, port, server.health.done)
        yield server
    finally:
        await server.stop()
        store.close()


async def run(component: Component) -> None:
    """Serve until told to stop."""
    home, clock = Home.from_environment().ensure(), RealClock()
    config = Config.load(home.component_config(APISERVER))
    resolution = scraper.resolution(home.component_config(METRICS))
    async with api_server(config, home.store, clock, resolution) as server:
        controlling = asyncio.gather(
            housekeeping.run(server.registry), _control(home, clock), _schedule(home, clock), server.scraper.run()
        )
        stopped = asyncio.ensure_future(component.stopped())
        component.ready(port=server.port)
        await asyncio.wait((controlling, stopped), return_when=asyncio.FIRST_COMPLETED)
        if controlling.done():
            controlling.result()  # raises what a controller died of
        controlling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await controlling


async def _control(home: Home, clock: Clock) -> None:
    settings = json.loads(home.component_config(MANAGER).read_text())
    async with APIClient.from_kubeconfig(home.component_kubeconfig(MANAGER), user_agent=MANAGER) as client:
        await controllers.run(client, settings, clock)


async def _schedule(home: Home, clock: Clock) -> None:
    async with APIClient.from_kubeconfig(home.component_kubeconfig(SCHEDULER), user_agent=SCHEDULER) as client:
        await scheduler.run(client, clock)


if __name__ == "__main__":
    main(run)
