"""Looking at containers: ps, inspect, top, diff, stats (moby: daemon/{list,inspect,top_unix,changes,stats}.go)."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from typing import Any

import psutil
from aiohttp import web

from kubelab.engine import containers_files, containers_view, query
from kubelab.engine.containers_record import NEVER, Container
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.images.store import ImageNotFound
from kubelab.images.view import MergedView
from kubelab.runtime.api import RuntimeServiceError

STATS_INTERVAL = 1.0  # seconds, dockerd's
COLUMNS = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


def routes(engine: Engine) -> list[web.RouteDef]:
    look = Look(engine)
    return [
        web.route("GET", "/containers/json", look.list),
        web.route("GET", "/containers/{name}/json", look.inspect),
        web.route("GET", "/containers/{name}/top", look.top),
        web.route("GET", "/containers/{name}/changes", look.changes),
        web.route("GET", "/containers/{name}/stats", look.stats),
    ]


class Look:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _container(self, request: web.Request) -> Container:
        return self._engine.containers.find(request.match_info["name"])

    async def list(self, request: web.Request) -> web.Response:
        filters = query.filters(request, containers_view.FILTERS)
        limit = request.query.get("limit", "")
        many = int(limit) if limit.lstrip("-").isdigit() and int(limit) > 0 else None
        everything = query.flag(request, "all") or many is not None
        shown = containers_view.select(self._engine.containers.all(), filters, everything, self._engine.store)
        sized = query.flag(request, "size")
        lines = [containers_view.summary(each, await self.size(each) if sized else None) for each in shown[:many]]
        return web.json_response(lines)

    async def inspect(self, request: web.Request) -> web.Response:
        container = self._container(request)
        size = await self.size(container) if query.flag(request, "size") else None
        return web.json_response(containers_view.inspect(container, self._engine.store, size))

    async def size(self, container: Container) -> tuple[int, int]:
        """Bytes of the writable layer, and with the image's."""
        own = 0
        if container.runtime_id:
            folder = await asyncio.to_thread(self._engine.runtime.writable_layer, container.runtime_id)
            own = await asyncio.to_thread(containers_files.size, folder)
        try:
            return own, own + self._engine.store.get_image(container.image_id).size
        except ImageNotFound:
            return own, own

    async def top(self, request: web.Request) -> web.Response:
        container = self._container(request)
        if request.query.get("ps_args", "") not in ("", "-ef"):
            raise DockerError(400, f"ps_args={request.query['ps_args']} is not supported by this engine: leave it out")
        if not container.running:
            raise DockerError(409, f"container {container.id} is not running")
        found = await self._engine.runtime.processes(container.runtime_id)
        lines = [[str(process.get(column.lower(), "0")) for column in COLUMNS] for process in found]
        return web.json_response({"Titles": list(COLUMNS), "Processes": lines})

    async def changes(self, request: web.Request) -> web.Response:
        container = self._container(request)
        if not container.runtime_id:
            return web.json_response(None)
        image = MergedView(self._engine.store.lower_dirs(container.image_id))
        writable = await asyncio.to_thread(self._engine.runtime.writable_layer, container.runtime_id)
        if not writable.exists():
            return web.json_response(None)
        return web.json_response(await asyncio.to_thread(containers_files.diff, writable, image) or None)

    async def stats(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        stream = query.flag(request, "stream", default=True)
        before = None
        if not stream and not query.flag(request, "one-shot"):
            before = await self._sample(container)
            await asyncio.sleep(STATS_INTERVAL)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            now = await self._sample(container)
            await response.write(json.dumps({**now, **_previous(before)}).encode() + b"\n")
            if not stream or container.removed:
                return response
            before = now
            await asyncio.sleep(STATS_INTERVAL)

    async def _sample(self, container: Container) -> dict[str, Any]:
        """What a container uses; zeros where it does not run, as dockerd answers."""
        try:
            if not container.running:
                raise RuntimeServiceError("FailedPrecondition", "not running")
            used = await self._engine.runtime.container_stats(container.runtime_id)
            memory, cpu, pids = used.memory_bytes, used.cpu_nanoseconds, used.pids
        except RuntimeServiceError:
            memory = cpu = pids = 0
        total = psutil.virtual_memory().total
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z") if pids else NEVER
        return {
            "name": f"/{container.name}",
            "id": container.id,
            "read": now,
            "num_procs": 0,
            "pids_stats": {"current": pids} if pids else {},
            "cpu_stats": {
                "cpu_usage": {"total_usage": cpu, "usage_in_kernelmode": 0, "usage_in_usermode": cpu},
                "system_cpu_usage": _system_cpu(),
                "online_cpus": os.cpu_count(),
                "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
            },
            "memory_stats": {"usage": memory, "limit": container.host_config.get("Memory") or total, "stats": {}}
            if pids
            else {},
            "blkio_stats": {},
            "storage_stats": {},
        }


def _previous(before: dict[str, Any] | None) -> dict[str, Any]:
    if before is None:
        return {"preread": NEVER, "precpu_stats": {"cpu_usage": {"total_usage": 0}, "system_cpu_usage": 0}}
    return {"preread": before["read"], "precpu_stats": before["cpu_stats"]}


def _system_cpu() -> int:
    """Nanoseconds of all the machine's processors since it started, busy and idle."""
    return int(sum(psutil.cpu_times()[:7]) * 1e9)
