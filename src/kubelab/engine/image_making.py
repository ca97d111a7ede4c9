"""Images from what is no build: a container's files (`docker commit`), a tar of a whole file system (`import`).

Upstream: moby's daemon/commit.go, daemon/images/image_commit.go and image_import.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.answers import LineStream, json_answer
from kubelab.engine.builder import config_changes, fetching, steps
from kubelab.engine.builder.run_config import RunConfig
from kubelab.engine.containers import read_json
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.query import receive
from kubelab.images import changes
from kubelab.images.compressed import decompressed
from kubelab.images.reference import Reference, parse
from kubelab.images.registry.progress import Meter
from kubelab.images.unpack import UnsafeArchive


def routes(engine: Engine) -> list[web.RouteDef]:
    async def commit_container(request: web.Request) -> web.Response:
        container = engine.containers.find(request.query.get("container", ""))
        image_id = await commit(engine, container, await read_json(request), request)
        return json_answer({"Id": image_id}, status=201)

    return [web.route("POST", "/commit", commit_container)]


async def _changed(config: RunConfig, request: web.Request) -> RunConfig:
    try:
        return await config_changes.apply(config, request.query.getall("changes", []))
    except ValueError as error:
        raise DockerError(400, str(error)) from None


def _reference(request: web.Request) -> Reference | None:
    repository, tag = request.query.get("repo", ""), request.query.get("tag", "")
    reference = parse(f"{repository}:{tag}" if tag else repository) if repository else None
    if reference and reference.digest:
        raise DockerError(400, "cannot import digest reference")
    return reference


async def commit(engine: Engine, container: Container, given: dict[str, Any], request: web.Request) -> str:
    """The new image's ID. The container runs on meanwhile: `pause` is not honoured, as this runtime has no freezer."""
    reference = _reference(request)
    author, comment = request.query.get("author", ""), request.query.get("comment", "")
    config = config_changes.merge(await _changed(given or container.config, request), container.config)
    await engine.runner.prepare(container)
    image_id = await asyncio.to_thread(_commit, engine, container, config, author, comment)
    if reference:
        engine.store.tag(image_id, reference)
    attributes = {"comment": comment, "imageID": image_id, "imageRef": str(reference.tagged()) if reference else ""}
    engine.events.publish("container", "commit", container.id, **container.attributes(**attributes))
    return image_id


def _commit(engine: Engine, container: Container, config: RunConfig, author: str, comment: str) -> str:
    upper = engine.runtime.writable_layer(container.runtime_id)
    with changes.diff(upper) if upper.exists() else contextlib.nullcontext() as layer:
        return steps.commit(
            engine.store, container.image_id, config, container.config, layer, container.id, author, comment,
            container.image,
        )  # fmt: skip


async def import_tar(engine: Engine, request: web.Request) -> web.StreamResponse:
    """`docker import SOURCE`: the tar is the request's body, or behind a URL (moby: daemon/images/image_import.go)."""
    query.refuse(request, "platform")
    source = request.query["fromSrc"]
    reference, config = _reference(request), await _changed({}, request) if request.query.get("changes") else None
    message = request.query.get("message") or f"Imported from {source}"
    stream = LineStream(request)
    try:
        with tempfile.NamedTemporaryFile(dir=engine.home.engine) as body:
            if source == "-":
                await receive(request, body)
            else:
                await _download(source if "://" in source else f"http://{source}", Path(body.name), stream)
            image_id = await asyncio.to_thread(_import, engine, body, config, message)
    except (DockerError, UnsafeArchive) as error:
        if not stream.started:
            raise
        await stream.fail(error)
        return await stream.end()
    if reference:
        engine.store.tag(image_id, reference)
    engine.events.publish("image", "import", image_id, name=str(reference.tagged()) if reference else image_id)
    await stream.send({"status": image_id})
    return await stream.end()


async def _download(url: str, target: Path, stream: LineStream) -> None:
    """Raises DockerError."""
    meter: Meter | None = None

    async def report(current: int, total: int) -> None:
        nonlocal meter
        if meter is None:
            meter = Meter(stream.send, "Importing", "", total)
            await stream.send({"status": f"Downloading from {url}"})
        await meter.at(current)

    if not fetching.is_url(url):
        raise DockerError(500, f'Get "{url}": unsupported protocol scheme "{url.partition("://")[0]}"')
    try:
        await fetching.fetch(url, target, report=report)
    except fetching.FetchError as error:
        raise DockerError(500, str(error)) from None


def _import(engine: Engine, body: IO[bytes], config: RunConfig | None, message: str) -> str:
    try:
        with decompressed(body) as tar:
            layer = engine.store.register_layer(tar)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        if isinstance(error, UnsafeArchive):
            raise
        raise DockerError(400, f"Error processing tar file: {error}") from error
    return engine.store.put_image(steps.imported(layer, config, message))
