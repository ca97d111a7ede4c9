"""`docker stats`: what a container uses, as a stream or once (moby: daemon/stats.go, api/types/container/stats.go)."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import Any

import psutil
from aiohttp import web

from kubelab.engine import query
from kubelab.engine.containers_record import NEVER, Container
from kubelab.engine.engine import Engine
from kubelab.runtime.api import ContainerStats, RuntimeServiceError

INTERVAL = 1.0  # seconds, dockerd's
_NOTHING: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def routes(engine: Engine) -> list[web.RouteDef]:
    async def stats(request: web.Request) -> web.StreamResponse:
        return await stream(engine, request)

    return [web.route("GET", "/containers/{name}/stats", stats)]


async def stream(engine: Engine, request: web.Request) -> web.StreamResponse:
    container = engine.containers.find(request.match_info["name"])
    streaming = query.flag(request, "stream", default=True)
    before = None
    if not streaming and not query.flag(request, "one-shot") and container.alive:
        before = await sample(engine, container)
        await asyncio.sleep(INTERVAL)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while True:
        now = await sample(engine, container)
        await response.write(json.dumps({**now, **_previous(before)}).encode() + b"\n")
        if not streaming or container.removed:
            return response
        before = now
        await asyncio.sleep(INTERVAL)


async def sample(engine: Engine, container: Container) -> dict[str, Any]:
    """Of one that does not run nearly nothing is said, as dockerd answers."""
    used = None
    if container.alive:
        try:
            used = await engine.runtime.container_stats(container.runtime_id)
        except RuntimeServiceError:  # it has ended meanwhile
            used = None
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    common = {"name": f"/{container.name}", "id": container.id, "num_procs": 0, "storage_stats": {}}
    if used is None:
        return {**common, "read": NEVER, "pids_stats": {}, "cpu_stats": _NOTHING, "memory_stats": {}, "blkio_stats": {}}
    answer = {
        **common,
        "read": now,
        "pids_stats": {"current": used.pids},
        "cpu_stats": _cpu(used),
        "memory_stats": _memory(used),
        "blkio_stats": {},
    }
    networks = await asyncio.to_thread(_networks, container)
    return answer | ({"networks": networks} if networks else {})


def _cpu(used: ContainerStats) -> dict[str, Any]:
    periods, throttled, waited = used.throttling
    return {
        "cpu_usage": {
            "total_usage": used.cpu_nanoseconds,
            "usage_in_kernelmode": used.cpu_system,
            "usage_in_usermode": used.cpu_user,
        },
        "system_cpu_usage": _system_cpu(),
        "online_cpus": os.cpu_count(),
        "throttling_data": {"periods": periods, "throttled_periods": throttled, "throttled_time": waited},
    }


def _memory(used: ContainerStats) -> dict[str, Any]:
    """Clients take the inactive file cache off the usage; its name is another one in either version of cgroups."""
    limit = used.memory_limit or psutil.virtual_memory().total
    return {"usage": used.memory_usage or used.memory_bytes, "limit": limit, "stats": used.memory_stat}


def _networks(container: Container) -> dict[str, dict[str, int]]:
    """Bytes and packets of its interfaces, from its own /proc/net/dev."""
    if container.host_config["NetworkMode"] in ("host", "none") or not container.endpoints:
        return {}
    found = {}
    try:
        with open(f"/proc/{container.pid}/net/dev") as file:  # noqa: PTH123 (a file of the kernel's)
            lines = file.read().splitlines()[2:]
    except OSError:
        return {}
    for line in lines:
        name, _, rest = line.partition(":")
        numbers = list(map(int, rest.split()))
        if name.strip().startswith("eth"):
            names = ("bytes", "packets", "errors", "dropped")
            received, sent = zip(names, numbers[:4], strict=True), zip(names, numbers[8:12], strict=True)
            found[name.strip()] = {f"rx_{n}": v for n, v in received} | {f"tx_{n}": v for n, v in sent}
    return found


def _previous(before: dict[str, Any] | None) -> dict[str, Any]:
    if before is None:
        return {"preread": NEVER, "precpu_stats": _NOTHING}
    return {"preread": before["read"], "precpu_stats": before["cpu_stats"]}


def _system_cpu() -> int:
    """Nanoseconds of all the machine's processors since it started, busy and idle."""
    return int(sum(psutil.cpu_times()[:7]) * 1e9)
