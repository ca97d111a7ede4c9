"""`docker system df`: what images and containers take on disk (moby: daemon/disk_usage.go)."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from kubelab.engine import containers_view, images
from kubelab.engine.answers import json_answer
from kubelab.engine.containers_look import Look
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.volumes import Volume

TYPES = ("container", "image", "volume", "build-cache")  # the build cache is the images themselves


def routes(engine: Engine) -> list[web.RouteDef]:
    async def df(request: web.Request) -> web.Response:
        types = request.query.getall("type", list(TYPES))
        for name in types:
            if name not in TYPES:
                raise DockerError(400, f"unknown object type: {name}")
        return json_answer(await describe(engine, types))

    return [web.route("GET", "/system/df", df)]


async def describe(engine: Engine, types: list[str]) -> dict[str, Any]:
    await engine.base_image()
    answer: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None, "BuildCache": None}
    if "image" in types:
        answer["LayersSize"] = await asyncio.to_thread(layers_size, engine)
        answer["Images"] = await asyncio.to_thread(images.summaries, engine.store, False, {}, shared=True)
        for line in answer["Images"]:
            line["Containers"] = len(engine.containers.using(line["Id"]))
    if "container" in types:
        look = Look(engine)
        answer["Containers"] = [
            containers_view.summary(each, engine.store, await look.size(each)) for each in engine.containers.all()
        ]
    if "volume" in types:
        answer["Volumes"] = [await _volume(engine, each) for each in engine.volumes.all()]
    if "build-cache" in types:
        answer["BuildCache"] = []
    return answer


async def _volume(engine: Engine, volume: Volume) -> dict[str, Any]:
    size = await asyncio.to_thread(volume.size)
    return {**volume.shown(), "UsageData": {"Size": size, "RefCount": len(engine.volumes.users(volume.name))}}


def layers_size(engine: Engine) -> int:
    """Bytes of all layers, each counted once."""
    chains = {chain for image in engine.store.all() for chain in image.chain_ids}
    return sum(engine.store.layer(chain).size for chain in chains)
