"""`POST /build`: the classic builder's request and its JSON stream (moby: api/server/router/build)."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from aiohttp import ClientConnectionResetError, web

from kubelab.engine import query
from kubelab.engine.answers import encode, json_answer, json_stream
from kubelab.engine.builder import fetching
from kubelab.engine.builder.builder import Builder, BuildFailed, Options
from kubelab.engine.builder.context import BuildContext
from kubelab.engine.builder.dockerfile import Dockerfile, DockerfileError, parse
from kubelab.engine.builder.limits import Limits
from kubelab.engine.builder.running import CommandFailed
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.pulling import credentials_by_host
from kubelab.images.compressed import decompressed
from kubelab.images.limits import copy_limited
from kubelab.images.reference import Reference
from kubelab.images.reference import parse as parse_reference
from kubelab.images.registry import RegistryError
from kubelab.images.registry.manifests import Platform
from kubelab.images.store import short
from kubelab.images.tarstream import TarWriter
from kubelab.runtime.api import RuntimeServiceError

CLASSIC_ONLY = "this engine has the classic builder only: set DOCKER_BUILDKIT=0"
NOT_HONOURED = ("cgroupparent", "securityopt", "outputs")
EXPECTED = (
    BuildFailed,
    DockerError,
    RegistryError,
    RuntimeServiceError,
    ValueError,
    OSError,
)  # all others are our own bugs
log = logging.getLogger(__name__)


def routes(engine: Engine) -> list[web.RouteDef]:
    async def build(request: web.Request) -> web.StreamResponse:
        return await handle(engine, request)

    async def buildkit(_: web.Request) -> web.StreamResponse:
        raise DockerError(501, CLASSIC_ONLY)

    async def prune(_: web.Request) -> web.Response:
        return json_answer({"CachesDeleted": None, "SpaceReclaimed": 0})  # the cache is images: `docker image prune`

    return [
        web.route("POST", "/build", build),
        web.route("POST", "/build/prune", prune),
        web.route("POST", "/session", buildkit),  # what the buildx plug-in asks for
        web.route("POST", "/grpc", buildkit),
    ]


async def handle(engine: Engine, request: web.Request) -> web.StreamResponse:
    """Everything that is wrong with the request is a status; what goes wrong while building is in the stream."""
    options, tags = _options(request), [parse_reference(tag) for tag in request.query.getall("t", []) if tag]
    with tempfile.TemporaryFile(dir=engine.home.engine) as body:
        if remote := request.query.get("remote"):
            await _fetch_context(engine, remote, body)
        else:
            await query.receive(request, body)
        context = await asyncio.to_thread(_open_context, body)
        dockerfile = _dockerfile(context, request)
        response = json_stream()
        await response.prepare(request)
        builder = Builder(engine, dockerfile, context, options, _sender(request, response))
        await _stream(builder, tags, response, request)
        return response


GIT = ("git://", "git@", "github.com/")


async def _fetch_context(engine: Engine, url: str, target: IO[bytes]) -> None:
    """`docker build URL`, as the SDK has it: a tar, or else a Dockerfile alone (moby: builder/remotecontext)."""
    if url.startswith(GIT) or url.partition("#")[0].endswith(".git"):
        raise DockerError(501, f"{url}: this engine clones no git repository: clone it, and build from its folder")
    if not fetching.is_url(url):
        raise DockerError(400, f"error downloading remote context {url}: unsupported protocol scheme")
    with tempfile.NamedTemporaryFile(dir=engine.home.engine) as file:
        try:
            await fetching.fetch(url, Path(file.name))
        except fetching.FetchError as error:
            raise DockerError(500, f"error downloading remote context {url}: {error}") from None
        await asyncio.to_thread(_as_context, file, target)


def _as_context(file: IO[bytes], target: IO[bytes]) -> None:
    try:
        tar = decompressed(file)
        with tarfile.open(fileobj=tar, mode="r:"):
            tar.seek(0)
            copy_limited(tar, target)
            target.seek(0)
            return
    except (tarfile.TarError, OSError):
        file.seek(0)
    writer, info = TarWriter(target), tarfile.TarInfo("Dockerfile")
    info.size = os.fstat(file.fileno()).st_size
    writer.add(info, file)
    writer.close()
    target.seek(0)


def _open_context(body: IO[bytes]) -> BuildContext:
    try:
        return BuildContext(decompressed(body))
    except tarfile.TarError as error:
        raise DockerError(400, f"the build context is no tar archive: {error}") from None


def _options(request: web.Request) -> Options:
    query.refuse(request, *NOT_HONOURED)
    if query.flag(request, "squash"):
        raise DockerError(400, "squash is only supported with experimental mode")
    if request.query.get("version", "1") not in ("", "1"):
        raise DockerError(501, CLASSIC_ONLY)
    isolation, platform = request.query.get("isolation", ""), request.query.get("platform", "")
    if isolation.lower() not in ("", "default"):  # moby: container.Isolation.IsValid, of Linux
        raise DockerError(400, f'unsupported isolation: "{isolation}"')
    try:
        Platform.parse(platform)
    except ValueError as error:
        raise DockerError(400, str(error)) from None
    return Options(
        _mapping(request, "buildargs"),
        _mapping(request, "labels"),
        no_cache=query.flag(request, "nocache"),
        pull=query.flag(request, "pull"),
        platform=platform,
        cache_from=tuple(_list(request, "cachefrom")),
        limits=_limits(request),
        credentials=credentials_by_host(request.headers.get("X-Registry-Config", "")),
    )


def _limits(request: web.Request) -> Limits:
    try:
        return Limits.of(request.query, [each for each in request.query.getall("extrahosts", []) if each])
    except ValueError as error:
        raise DockerError(400, str(error)) from None


def _list(request: web.Request, name: str) -> list[str]:
    try:
        found = json.loads(request.query.get(name) or "[]") or []
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise DockerError(400, f"{name} is no JSON list of names")
    return found


def _mapping(request: web.Request, name: str) -> dict[str, Any]:
    try:
        found = json.loads(request.query.get(name) or "{}") or {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise DockerError(400, f"{name} is no JSON object")
    return found


def _dockerfile(context: BuildContext, request: web.Request) -> Dockerfile:
    name = request.query.get("dockerfile") or "Dockerfile"
    names = [name, "dockerfile"] if name == "Dockerfile" else [name.removeprefix("./")]
    found = next((each for each in names if context.get(each)), None)
    if found is None:
        raise DockerError(500, f"Cannot locate specified Dockerfile: {name}")
    with context.open(found) as file:
        text = file.read().decode(errors="replace")
    if not text:
        raise DockerError(400, f"the Dockerfile ({found}) cannot be empty")
    context.hide_ignored(found)
    try:
        return parse(text).until(request.query.get("target", ""))
    except DockerfileError as error:
        raise DockerError(400, str(error)) from None


def _sender(request: web.Request, response: web.StreamResponse) -> Any:
    quiet = query.flag(request, "q")

    async def send(line: dict[str, Any]) -> None:
        if not quiet or "errorDetail" in line or line.get("quiet"):
            line.pop("quiet", None)
            await response.write(encode(line) + b"\r\n")

    return send


async def _stream(builder: Builder, tags: list[Reference], response: web.StreamResponse, request: web.Request) -> None:
    send = _sender(request, response)
    try:
        image_id = await builder.build()
        store = builder.engine.store
        await builder.say(f"Successfully built {short(image_id)}\n")
        for tag in tags:
            await asyncio.to_thread(store.tag, image_id, tag)
            builder.engine.events.publish("image", "tag", image_id, name=str(tag.tagged()))
            await builder.say(f"Successfully tagged {tag.tagged()}\n")
        if query.flag(request, "q"):
            await send({"stream": f"{image_id}\n", "quiet": True})
    except ClientConnectionResetError:  # the client has gone, and the build with it
        raise
    except CommandFailed as error:
        await send({"errorDetail": {"code": error.code, "message": str(error)}, "error": str(error)})
    except Exception as error:
        if not isinstance(error, EXPECTED):
            log.exception("build")
        await send({"errorDetail": {"message": str(error)}, "error": str(error)})
