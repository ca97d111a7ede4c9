"""`docker attach`, and the streams of `docker run`: what a container writes, and what it reads, over one connection.

Upstream: moby's api/server/router/container (postContainersAttach), daemon/attach.go, container/stream.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.containers_logs import content_type, frame
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.hijack import CHUNK, Hijacked, hijack
from kubelab.runtime import descriptors, logs
from kubelab.runtime.api import RuntimeServiceError

DETACH_KEYS = "ctrl-p,ctrl-q"


class Detached(Exception):
    """The client has typed the keys that leave the container alone."""


def routes(engine: Engine) -> list[web.RouteDef]:
    async def post(request: web.Request) -> web.StreamResponse:
        return await attach(engine, request)

    return [web.route("POST", "/containers/{name}/attach", post)]


async def take_over(request: web.Request, tty: bool) -> Hijacked:
    """Switch to raw bytes: 101 where the client asked for an upgrade, else 200, as old clients expect."""
    headers = [("Content-Type", content_type(tty))]
    if "upgrade" not in request.headers.get("Connection", "").lower():
        return await hijack(request, 200, headers)
    return await hijack(request, 101, [*headers, ("Connection", "Upgrade"), ("Upgrade", "tcp")], "UPGRADED")


async def attach(engine: Engine, request: web.Request) -> web.StreamResponse:
    container = engine.containers.find(request.match_info["name"])
    wanted = {name for name in ("stdin", "stdout", "stderr") if query.flag(request, name)}
    tty = container.config["Tty"]
    keys = detach_keys(request.query.get("detachKeys") or DETACH_KEYS) if tty else b""
    stream = query.flag(request, "stream")
    # The place in the log and the run are taken now, before the client starts the container.
    before = container.ends
    with closing(logs.LogReader(container.log_path, None if query.flag(request, "logs") else 0, None)) as reader:
        connection = await take_over(request, tty)

        def over() -> bool:
            return not stream or container.ends != before or container.removed

        inward = asyncio.create_task(_type(engine, container, connection, keys, over if "stdin" in wanted else None))
        try:
            output = logs.entries(reader, over)
            await _first_of(_show(output, connection, wanted, tty), inward)
        finally:
            inward.cancel()
    return connection.response


async def _first_of(showing: Awaitable[None], typing: asyncio.Task[None]) -> None:
    """Until the output ends, or the client detaches or goes."""
    task = asyncio.ensure_future(showing)
    try:
        await asyncio.wait({task, typing}, return_when=asyncio.FIRST_COMPLETED)
        if typing.done() and isinstance(typing.exception(), (Detached, ConnectionError)):
            return
        await task
    except ConnectionError:
        pass  # the client has gone
    finally:
        task.cancel()


async def _show(output: AsyncIterator[logs.LogEntry], connection: Hijacked, wanted: set[str], tty: bool) -> None:
    async for entry in output:
        if entry.stream in wanted:
            connection.writer.write(entry.data if tty else frame(entry.stream, entry.data))
            await connection.writer.drain()


async def _type(
    engine: Engine, container: Container, connection: Hijacked, keys: bytes, over: Callable[[], bool] | None
) -> None:
    """Pass the client's bytes on to the container's stdin, from when it runs."""
    if over is None or not container.config["OpenStdin"]:
        return
    async with container.changed:
        await container.changed.wait_for(lambda: container.alive or over())
    if not container.alive:
        return
    try:
        descriptor = await engine.runtime.attach_stdin(container.runtime_id)
    except RuntimeServiceError:
        return  # it has ended meanwhile, or another client has closed its stdin
    try:
        os.set_blocking(descriptor, False)
        async for data in typed(connection.reader, keys):
            await descriptors.write(descriptor, data)
    except BrokenPipeError:
        pass  # the program does not read any more
    finally:
        os.close(descriptor)


async def typed(reader: asyncio.StreamReader, keys: bytes) -> AsyncIterator[bytes]:
    """The client's bytes. Raises Detached when they hold the detach keys, one after the other."""
    held = b""
    while data := await reader.read(CHUNK):
        if not keys:
            yield data
            continue
        text = held + data
        if keys in text:
            yield text[: text.index(keys)]
            raise Detached
        keep = next((n for n in range(min(len(keys) - 1, len(text)), 0, -1) if keys.startswith(text[-n:])), 0)
        held = text[len(text) - keep :] if keep else b""
        if passed := text[: len(text) - keep]:
            yield passed


def detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as bytes (moby/term: ascii.go). Raises DockerError 400."""
    found = b""
    for key in text.split(","):
        if len(key) == 1:
            found += key.encode()
        elif key.startswith("ctrl-") and len(key) == 6 and key[5] in "@abcdefghijklmnopqrstuvwxyz[\\]^_":
            found += bytes([ord(key[5].upper()) & 0x1F])
        else:
            raise DockerError(400, f"Invalid escape keys ({text}) provided")
    return found
