"""The registry's HTTP application, and its server on the loopback."""

from __future__ import annotations

import contextlib
import logging
import socket
from pathlib import Path
from typing import Any

from aiohttp import web

from kubelab.images.registry.server import blobs, manifests
from kubelab.images.registry.server.content import Content
from kubelab.images.registry.server.errors import ProtocolError, answer_errors
from kubelab.images.registry.server.peers import owners_only
from kubelab.images.registry.server.storage import DIGEST
from kubelab.images.registry.server.uploads import Uploads
from kubelab.images.store import ImageStore

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
NAME = rf"{{name:{_COMPONENT}(?:/{_COMPONENT})*}}"  # distribution spec, "Pulling manifests"
HOSTS = ("127.0.0.1", "::1")  # what `localhost` may mean
LONGEST = 255  # characters of a repository's name (distribution: reference.NameTotalLengthMax)
log = logging.getLogger(__name__)


def make_app(content: Content) -> web.Application:
    async def ping(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application(middlewares=[answer_errors, owners_only, check_names])
    app.router.add_route("GET", "/v2/", ping)
    app.router.add_route("GET", "/v2/_catalog", manifests.catalog(content))
    for route in (*manifests.routes(content), *Uploads(content).routes(), *blobs.routes(content)):
        app.router.add_route(route.method, f"/v2/{NAME}{route.path}", route.handler)
    return app


@web.middleware
async def check_names(request: web.Request, handler: Any) -> web.StreamResponse:
    """Names become those of files: what is no name of a repository, tag or digest goes no further."""
    name, reference = request.match_info.get("name", ""), request.match_info.get("reference")
    if len(name) > LONGEST:
        raise ProtocolError("NAME_INVALID", {"name": name})
    if reference is not None and not (manifests.TAG.fullmatch(reference) or DIGEST.fullmatch(reference)):
        raise ProtocolError("DIGEST_INVALID" if ":" in reference else "TAG_INVALID", {"reference": reference})
    return await handler(request)


class RegistryServer:
    """`await server.start(port)`; port 0 is any free one. It serves `folder` and the images of `store`."""

    def __init__(self, folder: Path, store: ImageStore) -> None:
        self._content = Content(folder, store)
        options = {"access_log": None, "handler_cancellation": True, "shutdown_timeout": 1}
        self._runner = web.AppRunner(make_app(self._content), **options)

    async def start(self, port: int = 0) -> int:
        """The port that it listens on, at 127.0.0.1 and where there is IPv6 at ::1, too."""
        self._content.pushed.sweep()
        await self._runner.setup()
        for host in HOSTS:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                listener = socket.create_server((host, port), family=family)
            except OSError as error:
                if host == HOSTS[0]:
                    raise
                log.info("the registry does not listen on %s: %s", host, error)
                continue
            port = listener.getsockname()[1]
            await web.SockSite(self._runner, listener).start()
        return port

    async def stop(self) -> None:
        with contextlib.suppress(OSError):
            await self._runner.cleanup()
