"""`docker pull` and `push` (moby: api/server/router/image, daemon/images/image_pull.go and image_push.go)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiohttp import web

from kubelab.engine import image_making, query
from kubelab.engine.answers import LineStream
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError, status_of
from kubelab.engine.pulling import pull_from, pull_image
from kubelab.images.reference import Reference, parse
from kubelab.images.registry import Registry, RegistryError, push
from kubelab.images.registry.auth import Credentials
from kubelab.images.registry.manifests import InvalidManifest, Platform
from kubelab.images.registry.progress import Report, line
from kubelab.images.store import Image
from kubelab.images.unpack import UnsafeArchive

EXPECTED = (DockerError, RegistryError, InvalidManifest, UnsafeArchive, OSError)


def routes(engine: Engine) -> list[web.RouteDef]:
    async def create(request: web.Request) -> web.StreamResponse:
        if request.query.get("fromSrc"):
            return await image_making.import_tar(engine, request)
        return await answer_pull(engine, request)

    async def push_image(request: web.Request) -> web.StreamResponse:
        return await answer_push(engine, request)

    return [
        web.route("POST", "/images/create", create),
        web.route("POST", "/images/{name:.+}/push", push_image),
    ]


# -- pull


async def answer_pull(engine: Engine, request: web.Request) -> web.StreamResponse:
    """What fails before the first line is a status; what fails later is a line."""
    name, tag = request.query.get("fromImage", ""), request.query.get("tag", "")
    reference = parse(name.rstrip(":") + (f"@{tag}" if tag.startswith("sha256:") else f":{tag}" if tag else ""))
    platform = _platform(request.query.get("platform", ""))
    credentials = Credentials.from_header(request.headers.get("X-Registry-Auth", ""))
    stream = LineStream(request)
    try:
        if reference.tag or reference.digest:
            await pull_image(engine, reference, platform, credentials, stream.send)
        else:
            await _pull_all(engine, reference, platform, credentials, stream.send)
    except EXPECTED as error:
        if not stream.started:
            raise DockerError(_status(error), str(error)) from error
        await stream.fail(error)
    return await stream.end()


def _platform(text: str) -> Platform:
    try:
        return Platform.parse(text)
    except ValueError as error:
        raise DockerError(400, str(error)) from None


def _status(error: Exception) -> int:
    return error.status if isinstance(error, RegistryError) else status_of(error)


async def _pull_all(
    engine: Engine, reference: Reference, platform: Platform, credentials: Credentials | None, report: Report
) -> None:
    """Every tag of a repository, as a name without a tag asks for."""
    async with Registry(reference, credentials) as registry:
        for tag in await registry.tags():
            await pull_from(engine, registry, replace(reference, tag=tag), platform, report, str(reference))


# -- push


async def answer_push(engine: Engine, request: web.Request) -> web.StreamResponse:
    """All that goes wrong is in the stream."""
    query.refuse(request, "platform")
    name, tag = request.match_info["name"], request.query.get("tag", "")
    reference = parse(f"{name}:{tag}" if tag else name)
    if reference.digest:
        raise DockerError(400, "cannot push a digest reference")
    credentials = Credentials.from_header(request.headers.get("X-Registry-Auth", ""))
    stream = LineStream(request)
    try:
        await _push(engine, reference, credentials, stream.send)
    except EXPECTED as error:
        await stream.fail(error)
    return await stream.end()


async def _push(engine: Engine, reference: Reference, credentials: Credentials, report: Report) -> None:
    repository = f"{reference.domain}/{reference.path}"
    await report(line(f"The push refers to repository [{repository}]"))
    images = _to_push(engine, reference)
    if not images:
        raise DockerError(404, f"An image does not exist locally with the tag: {reference.repository}")
    async with Registry(reference, credentials, actions="pull,push") as registry:
        for tag, image in images.items():
            pushed = await push(engine.store, registry, replace(reference, tag=tag), image, report)
            aux: dict[str, Any] = {"Tag": pushed.tag, "Digest": pushed.digest, "Size": pushed.size}
            await report({"progressDetail": {}, "aux": aux})
            engine.events.publish("image", "push", f"{reference.repository}:{tag}", name=reference.repository)


def _to_push(engine: Engine, reference: Reference) -> dict[str, Image]:
    """Tag → image; without a tag all tags of the repository."""
    found = {}
    for name, image_id in sorted(engine.store.tags().items()):
        each = parse(name)
        if each.repository == reference.repository and each.tag and reference.tag in ("", each.tag):
            found[each.tag] = engine.store.get_image(image_id)
    return found
