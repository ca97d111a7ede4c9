"""Routes of volumes (moby: api/server/router/volume)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubelab.engine import query, volumes
from kubelab.engine.answers import json_answer
from kubelab.engine.containers import read_json
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError

PRUNE_FILTERS = ("label", "label!", "all")


def _before(request: web.Request, minor: int) -> bool:
    """Whether the client speaks an API older than 1.`minor`."""
    version = request.match_info.get("version")
    return version is not None and int(version.partition(".")[2]) < minor


def routes(engine: Engine) -> list[web.RouteDef]:
    store = engine.volumes

    async def listed(request: web.Request) -> web.Response:
        found = store.select(query.filters(request, volumes.FILTERS))
        return json_answer({"Volumes": [each.shown() for each in found], "Warnings": None})

    async def inspect(request: web.Request) -> web.Response:
        return json_answer(store.find(request.match_info["name"]).shown())

    async def create(request: web.Request) -> web.Response:
        asked = await read_json(request)
        name = asked.get("Name") or ""
        if asked.get("ClusterVolumeSpec"):
            raise DockerError(400, "cluster volumes are not supported by this engine")
        volumes.check_driver(name, asked.get("Driver") or "")
        labels = asked.get("Labels") if name else {**(asked.get("Labels") or {}), volumes.ANONYMOUS: ""}
        made = store.create(name, labels, asked.get("DriverOpts"))
        return json_answer(made.shown(), status=201)

    async def remove(request: web.Request) -> web.Response:
        store.remove(request.match_info["name"], force=query.flag(request, "force"))
        return web.Response(status=204)

    async def prune(request: web.Request) -> web.Response:
        """Those that nobody has named and nothing mounts; with the filter `all`, or before API 1.42, all."""
        filters = query.filters(request, PRUNE_FILTERS)
        everything = any(value in ("1", "true", "True") for value in filters.get("all", [])) or _before(request, 42)
        removed, reclaimed = [], 0
        for volume in store.all():
            labels = volume.labels or {}
            kept = store.users(volume.name) or not (everything or volumes.ANONYMOUS in labels)
            unwanted = any(volumes.has_labels(labels, [label]) for label in filters.get("label!", []))
            if kept or unwanted or not volumes.has_labels(labels, filters.get("label", [])):
                continue
            reclaimed += await asyncio.to_thread(volume.size)
            store.remove(volume.name)
            removed.append(volume.name)
        engine.events.publish("volume", "prune", "", reclaimed=str(reclaimed))
        return json_answer({"VolumesDeleted": removed, "SpaceReclaimed": reclaimed})

    return [
        web.route("GET", "/volumes", listed),
        web.route("POST", "/volumes/create", create),
        web.route("POST", "/volumes/prune", prune),
        web.route("GET", "/volumes/{name}", inspect),
        web.route("DELETE", "/volumes/{name}", remove),
    ]
