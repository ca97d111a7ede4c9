"""The kubelet's own HTTP server: logs, exec, attach, port-forward, and a way into the node's network.

Upstream: pkg/kubelet/server/server.go. It listens on the loopback only and wants the bearer token of the node's
configuration; its one client is the API server. Paths and query parameters are upstream's, `/dial` apart.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from kubelab.cluster.kubelet.metrics_routes import MetricsRoutes
from kubelab.cluster.kubelet.streaming.commands import CommandRoutes
from kubelab.cluster.kubelet.streaming.logs import BadLogOptions, LogOptions, end_of, read_log
from kubelab.cluster.kubelet.streaming.portforward_routes import PortForwardRoutes
from kubelab.cluster.kubelet.usage import UsageReader
from kubelab.hijack import hijack, splice
from kubelab.runtime.api import RuntimeServiceError

if TYPE_CHECKING:
    from kubelab.cluster.kubelet.kubelet import Kubelet

logger = logging.getLogger(__name__)

DIAL_TIMEOUT = 10.0  # seconds
SHUTDOWN_TIMEOUT = 1.0  # seconds that open streams get when the kubelet stops
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class KubeletServer:
    """Serves one kubelet. `await start()` gives the address it listens on."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> tuple[str, int]:
        application = web.Application(middlewares=[self._authenticate])
        commands, forwards = CommandRoutes(self._kubelet), PortForwardRoutes(self._kubelet)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._container_logs)
        metrics = MetricsRoutes(
            UsageReader(self._kubelet.runtime, self._kubelet.config.nodeName, self._kubelet.clock),
            self._kubelet.config.nodeName,
        )
        application.router.add_get("/metrics/resource", metrics.resource)
        application.router.add_get("/stats/summary", metrics.summary)
        application.router.add_get("/dial/{host}/{port}", self._dial)
        for method in ("GET", "POST"):  # WebSocket upgrades are GETs, kubectl's SPDY upgrades are POSTs
            application.router.add_route(method, "/exec/{namespace}/{pod}/{container}", commands.exec)
            application.router.add_route(method, "/attach/{namespace}/{pod}/{container}", commands.attach)
            application.router.add_route(method, "/portForward/{namespace}/{pod}", forwards.port_forward)
        self._runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port or self._kubelet.config.port)
        await site.start()
        address = self._runner.addresses[0][:2]
        self._port = address[1]  # started again, it is where it was
        return address

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        expected = f"Bearer {self._kubelet.config.serverToken}"
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected.encode()):
            return web.Response(status=401, text="Unauthorized")
        return await handler(request)

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _container_logs(self, request: web.Request) -> web.StreamResponse:
        namespace, pod, container = (request.match_info[name] for name in ("namespace", "pod", "container"))
        try:
            options = LogOptions.from_query(request.query, self._kubelet.clock)
            status = await self._kubelet.container(namespace, pod, container, previous=options.previous)
        except BadLogOptions as error:
            return web.Response(status=400, text=str(error))
        except KeyError as error:
            return web.Response(status=400, text=str(error.args[0]))
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        # A client that goes is no error; a log that is not there belongs to a container that wrote nothing.
        with suppress(ConnectionError, FileNotFoundError):
            async with end_of(self._kubelet.runtime, status.id) as ended:
                async for data in read_log(Path(status.config.log_path), options, ended):
                    await response.write(data)
        return response

    async def _dial(self, request: web.Request) -> web.StreamResponse:
        """`Upgrade: tcp`: a raw connection from inside the node to host:port."""
        host, port = request.match_info["host"], request.match_info["port"]
        if request.headers.get("Upgrade", "").lower() != "tcp" or not port.isdigit():
            return web.Response(status=400, text="ask for /dial/{host}/{port} with `Upgrade: tcp`")
        try:
            connection = await self._kubelet.runtime.dial(self._kubelet.config.nodeName, host, int(port), DIAL_TIMEOUT)
        except (OSError, RuntimeServiceError) as error:
            number = getattr(error, "errno", None)  # asyncio puts words of its own into strerror
            cause = os.strerror(number) if number else str(error) or "i/o timeout"
            return web.Response(status=502, text=f"dial tcp {host}:{port}: connect: {cause.lower()}")
        hijacked = await hijack(request, 101, [("Connection", "Upgrade"), ("Upgrade", "tcp")])
        await splice(hijacked.reader, hijacked.writer, *connection)
        return hijacked.response
