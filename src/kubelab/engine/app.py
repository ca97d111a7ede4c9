"""The engine's HTTP application: which modules offer routes, and what every answer has.

A module offers `routes(engine) -> list[web.RouteDef]` with paths as Docker's API reference has them
(https://docs.docker.com/reference/api/engine/version/v1.44/); each is served with and without a version before it.
"""

from __future__ import annotations

import re

from aiohttp import web

from kubelab.engine import (
    build,
    containers,
    disk_use,
    image_archives,
    image_making,
    image_names,
    image_registry,
    images,
    networks_routes,
    registry_access,
    swarm,
    system,
    volumes_routes,
)
from kubelab.engine.answers import json_answer
from kubelab.engine.engine import Engine
from kubelab.engine.errors import answer_errors

API_VERSION = system.API_VERSION
MODULES = [
    system,
    registry_access,
    images,
    image_names,
    image_archives,
    image_making,
    image_registry,
    disk_use,
    build,
    containers,
]
MODULES += [networks_routes, volumes_routes, swarm]
_VERSIONED = re.compile(r"^/v(\d+)\.(\d+)/")


def make_app(engine: Engine) -> web.Application:
    app = web.Application(middlewares=[answer_errors, check_version], client_max_size=1 << 40)
    app.on_response_prepare.append(_add_headers)
    for module in MODULES:
        for route in module.routes(engine):
            app.router.add_route(route.method, route.path, route.handler)
            app.router.add_route(route.method, r"/v{version:\d+\.\d+}" + route.path, route.handler)
    return app


@web.middleware
async def check_version(request: web.Request, handler) -> web.StreamResponse:
    """Refuse versions that we do not speak (moby: api/server/middleware/version.go)."""
    if match := _VERSIONED.match(request.path):
        asked = tuple(map(int, match.groups()))
        said = ".".join(match.groups())
        if asked > _parts(API_VERSION):
            message = f"client version {said} is too new. Maximum supported API version is {API_VERSION}"
            return json_answer({"message": message}, status=400)
        if asked < _parts(system.MIN_API_VERSION):
            message = (
                f"client version {said} is too old. Minimum supported API version is {system.MIN_API_VERSION}, "
                "please upgrade your client to a newer version"
            )
            return json_answer({"message": message}, status=400)
    return await handler(request)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Api-Version"] = API_VERSION
    response.headers["Docker-Experimental"] = "false"
    response.headers["Ostype"] = "linux"
    response.headers["Server"] = f"Docker/{system.VERSION} (linux)"
