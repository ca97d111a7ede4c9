"""Routes of a container's life: create, start, stop, restart, kill, pause, wait, update, rename, remove, resize, prune.

Upstream: moby's api/server/router/container. What looks at containers is in containers_look.py, their logs in
containers_logs.py, their files in containers_archive.py; attach.py and exec.py hold what takes the connection over.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from kubelab.engine import (
    attach,
    containers_archive,
    containers_logs,
    containers_look,
    containers_stats,
    exec,
    query,
)
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.images import seconds
from kubelab.engine.volumes import has_labels

WAIT_CONDITIONS = ("", "not-running", "next-exit", "removed")
UPDATABLE = (
    "RestartPolicy", "Memory", "MemorySwap", "CpuShares", "CpuPeriod", "CpuQuota", "NanoCpus", "PidsLimit",
    "CpusetCpus", "CpusetMems", "MemoryReservation", "BlkioWeight",
)  # fmt: skip


def routes(engine: Engine) -> list[web.RouteDef]:
    life = Life(engine)
    own = [
        web.route("POST", "/containers/create", life.create),
        web.route("POST", "/containers/prune", life.prune),
        web.route("POST", "/containers/{name}/start", life.start),
        web.route("POST", "/containers/{name}/stop", life.stop),
        web.route("POST", "/containers/{name}/restart", life.restart),
        web.route("POST", "/containers/{name}/kill", life.kill),
        web.route("POST", "/containers/{name}/pause", life.pause),
        web.route("POST", "/containers/{name}/unpause", life.unpause),
        web.route("POST", "/containers/{name}/update", life.update),
        web.route("POST", "/containers/{name}/wait", life.wait),
        web.route("POST", "/containers/{name}/rename", life.rename),
        web.route("POST", "/containers/{name}/resize", life.resize),
        web.route("DELETE", "/containers/{name}", life.remove),
        web.route("DELETE", "/containers/{name}/{alias}", life.remove_link),
    ]
    others = (containers_look, containers_stats, containers_logs, containers_archive, attach, exec)
    return own + [route for module in others for route in module.routes(engine)]


async def read_json(request: web.Request) -> dict[str, Any]:
    """A request's body. Raises DockerError 400."""
    text = await request.read()
    try:
        body = json.loads(text) if text else {}
    except ValueError as error:
        raise DockerError(400, f"invalid JSON: {error}") from error
    if not isinstance(body, dict):
        raise DockerError(400, "invalid JSON: an object is expected")
    return body


def number(request: web.Request, name: str) -> int | None:
    """A query's integer, None where it is not given. Raises DockerError 400."""
    text = request.query.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise DockerError(400, f"invalid {name}: {text!r} is not a number") from None


class Life:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._containers, self._runner = engine.containers, engine.runner

    def _container(self, request: web.Request) -> Container:
        return self._containers.find(request.match_info["name"])

    async def create(self, request: web.Request) -> web.Response:
        query.refuse(request, "platform")
        container = await self._containers.create(await read_json(request), request.query.get("name", ""))
        return web.json_response({"Id": container.id, "Warnings": container.warnings}, status=201)

    async def start(self, request: web.Request) -> web.Response:
        query.refuse(request, "checkpoint", "checkpoint-dir")
        started = await self._runner.start(self._container(request))
        return web.Response(status=204 if started else 304)

    async def stop(self, request: web.Request) -> web.Response:
        stopped = await self._runner.halt(
            self._container(request), number(request, "t"), request.query.get("signal", "")
        )
        return web.Response(status=204 if stopped else 304)

    async def restart(self, request: web.Request) -> web.Response:
        container = self._container(request)
        await self._runner.halt(container, number(request, "t"), request.query.get("signal", ""))
        await self._runner.start(container)
        self._containers.event(container, "restart")
        return web.Response(status=204)

    async def kill(self, request: web.Request) -> web.Response:
        await self._runner.kill(self._container(request), request.query.get("signal", ""))
        return web.Response(status=204)

    async def pause(self, request: web.Request) -> web.Response:
        await self._runner.pause(self._container(request))
        return web.Response(status=204)

    async def unpause(self, request: web.Request) -> web.Response:
        await self._runner.unpause(self._container(request))
        return web.Response(status=204)

    async def update(self, request: web.Request) -> web.Response:
        container, asked = self._container(request), await read_json(request)
        for name, value in asked.items():
            if value and name not in UPDATABLE:
                raise DockerError(400, f"{name} is not supported by this engine: leave it out")
        warnings = await self._runner.update(container, asked)
        return web.json_response({"Warnings": warnings or None})

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """The head is sent at once: the client starts the container only when it has it."""
        container, condition = self._container(request), request.query.get("condition", "")
        if condition not in WAIT_CONDITIONS:
            raise DockerError(400, f'invalid condition: "{condition}"')
        before = container.ends
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if condition == "removed":
            await container.removal()
        elif container.running or condition == "next-exit":
            await container.end_after(before)  # also where a restart follows (moby: State.SetRestarting)
        await response.write(json.dumps({"StatusCode": container.exit_code}).encode() + b"\n")
        return response

    async def rename(self, request: web.Request) -> web.Response:
        await self._containers.rename(self._container(request), request.query.get("name", ""))
        return web.Response(status=204)

    async def resize(self, request: web.Request) -> web.Response:
        container = self._container(request)
        rows, columns = number(request, "h"), number(request, "w")
        if not container.running:
            raise DockerError(409, f"Container {container.id} is not running")
        await self._engine.runtime.resize_container_tty(container.runtime_id, rows or 0, columns or 0)
        return web.Response(status=200)

    async def remove(self, request: web.Request) -> web.Response:
        if query.flag(request, "link"):
            raise DockerError(409, "conflict, cannot remove the default link name of the container")
        volumes = query.flag(request, "v")
        await self._containers.remove(self._container(request), force=query.flag(request, "force"), volumes=volumes)
        return web.Response(status=204)

    async def remove_link(self, request: web.Request) -> web.Response:
        """`docker rm --link PARENT/ALIAS`: neither container goes."""
        parent, alias = self._container(request), request.match_info["alias"]
        if not query.flag(request, "link") or alias not in parent.links:
            raise DockerError(404, f"No such container: {parent.name}/{alias}")
        del parent.links[alias]
        parent.save()
        return web.Response(status=204)

    async def prune(self, request: web.Request) -> web.Response:
        wanted = query.filters(request, ("label", "label!", "until"))
        until = [query.moment(each) for each in wanted.get("until", [])]
        deleted, reclaimed = [], 0
        look = containers_look.Look(self._engine)
        for container in self._containers.all():
            labels = container.config["Labels"]
            kept = any(has_labels(labels, [label]) for label in wanted.get("label!", []))
            kept = kept or any(seconds(container.created) > each for each in until)
            if not container.running and has_labels(labels, wanted.get("label", [])) and not kept:
                reclaimed += (await look.size(container))[0]
                await self._containers.remove(container)
                deleted.append(container.id)
        self._engine.events.publish("container", "prune", "", reclaimed=str(reclaimed))
        return web.json_response({"ContainersDeleted": deleted or None, "SpaceReclaimed": reclaimed})
