"""Swarm mode: this engine is no node of a swarm, and says so in the words of a dockerd that is none.

Upstream: moby's api/server/router/swarm and daemon/cluster/errors.go. What Swarm schedules, this course schedules with
Kubernetes, so a swarm cannot be made or joined here.
"""

from __future__ import annotations

from aiohttp import web

from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError

NO_SWARM = "This node is not part of a swarm"
NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_OBJECTS = ("/services", "/nodes", "/tasks", "/secrets", "/configs")
_MANAGERS_ALONE = ("/swarm", "/swarm/unlockkey", "/swarm/update", *_OBJECTS)


def routes(_: Engine) -> list[web.RouteDef]:
    async def not_available(_: web.Request) -> web.Response:
        raise DockerError(503, NO_MANAGER)

    async def not_in_swarm(_: web.Request) -> web.Response:
        raise DockerError(503, NO_SWARM)

    async def not_served(_: web.Request) -> web.Response:
        raise DockerError(501, "swarm mode is not supported by this engine: let the course's Kubernetes schedule")

    found = [web.route("POST", f"/swarm/{name}", not_served) for name in ("init", "join")]
    found += [web.route("POST", f"/swarm/{name}", not_in_swarm) for name in ("leave", "unlock")]
    found += [web.route("*", path, not_available) for path in _MANAGERS_ALONE]
    return found + [web.route("*", path + "/{rest:.+}", not_available) for path in _OBJECTS]
