"""`docker logs`: a container's log as Docker streams it (moby: daemon/logs.go, pkg/stdcopy for the frames)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.runtime import logs

NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"


def frame(stream: str, data: bytes) -> bytes:
    """One frame of a multiplexed stream: its number, three zeros, the length in big-endian, the bytes."""
    return struct.pack(">BxxxI", NUMBERS[stream], len(data)) + data


def content_type(tty: bool) -> str:
    return RAW if tty else MULTIPLEXED


def moment(text: str) -> datetime | None:
    """`since` and `until`: seconds since 1970 with a fraction, or RFC 3339. Raises DockerError 400."""
    if text in ("", "0"):
        return None
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise DockerError(400, f'failed to parse value as time or duration: "{text}"') from None


def routes(engine: Engine) -> list[web.RouteDef]:
    async def get(request: web.Request) -> web.StreamResponse:
        return await stream_logs(engine, request)

    return [web.route("GET", "/containers/{name}/logs", get)]


async def stream_logs(engine: Engine, request: web.Request) -> web.StreamResponse:
    container = engine.containers.find(request.match_info["name"])
    query.refuse(request, "details")
    if container.host_config["LogConfig"]["Type"] == "none":
        raise DockerError(501, "configured logging driver does not support reading")
    wanted = {name for name in ("stdout", "stderr") if query.flag(request, name)}
    if not wanted:
        raise DockerError(400, "Bad parameters: you must choose at least one stream")
    tail = _tail(request.query.get("tail", "all"))
    since, until = moment(request.query.get("since", "")), moment(request.query.get("until", ""))
    timestamps, follow = query.flag(request, "timestamps"), query.flag(request, "follow")
    response = web.StreamResponse(headers={"Content-Type": content_type(container.config["Tty"])})
    await response.prepare(request)
    begun = {"stdout": False, "stderr": False}  # whether a line has begun that is not ended
    log = logs.read(container.log_path, tail=tail, since=since, follow=follow, ended=end_of_run(container))
    async for entry in log:
        if until is not None and entry.timestamp > f"{until.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}999Z":
            break
        data = entry.data
        if timestamps and not begun[entry.stream]:
            data = entry.timestamp.encode() + b" " + data
        begun[entry.stream] = entry.partial
        if entry.stream in wanted:
            await response.write(data if container.config["Tty"] else frame(entry.stream, data))
    return response


def end_of_run(container: Container) -> Callable[[], bool]:
    """Says when the present run has ended: at once where the container does not run."""
    before, running = container.stops, container.running
    return lambda: not running or container.stops != before or container.removed


def _tail(text: str) -> int | None:
    if text in ("", "all"):
        return None
    return int(text) if text.isdigit() else None
