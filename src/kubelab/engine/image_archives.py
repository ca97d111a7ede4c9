"""Images as archives: `docker save`, `docker load`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.answers import LineStream
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.images.archive import InvalidArchive, wanted
from kubelab.images.unsafe import UnsafeArchive

CHUNK = 1 << 20


def routes(engine: Engine) -> list[web.RouteDef]:
    async def save_one(request: web.Request) -> web.StreamResponse:
        return await save(engine, request, [request.match_info["name"]])

    async def save_many(request: web.Request) -> web.StreamResponse:
        return await save(engine, request, request.query.getall("names", []))

    async def load_images(request: web.Request) -> web.StreamResponse:
        return await load(engine, request)

    return [
        web.route("GET", "/images/get", save_many),
        web.route("GET", "/images/{name:.+}/get", save_one),
        web.route("POST", "/images/load", load_images),
    ]


async def save(engine: Engine, request: web.Request, names: Iterable[str]) -> web.StreamResponse:
    query.refuse(request, "platform")
    await engine.base_image()
    names = [name for value in names for name in value.split(",")]
    if not names:
        raise DockerError(400, "no images to save: give one or more as names=")
    for name in names:
        wanted(engine.store, name)
    with tempfile.TemporaryFile(dir=engine.home.engine) as file:
        await asyncio.to_thread(engine.store.save, names, file)
        response = web.StreamResponse(headers={"Content-Type": "application/x-tar"})
        await response.prepare(request)
        file.seek(0)
        while chunk := file.read(CHUNK):
            await response.write(chunk)
        return response


async def load(engine: Engine, request: web.Request) -> web.StreamResponse:
    """Answers with a JSON stream: a line for each image, or what is wrong with the archive (image/tarexport/load.go,
    postImagesLoad of api/server/router/image)."""
    query.refuse(request, "platform")
    stream = LineStream(request)  # in chunks, or the docker SDK would take all of it for one JSON object
    try:
        with tempfile.TemporaryFile(dir=engine.home.engine) as file:
            await query.receive(request, file)
            images = await asyncio.to_thread(engine.store.load, file)
    except (InvalidArchive, UnsafeArchive, OSError) as error:
        await stream.fail(error)
        return await stream.end()
    for image, names in images:
        engine.events.publish("image", "load", image.id, name=image.id)
        for text in [f"Loaded image: {name}\n" for name in names] or [f"Loaded image ID: {image.id}\n"]:
            await stream.send({"stream": text})
    return await stream.end()
