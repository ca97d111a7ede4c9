"""What the engine says of itself: ping, version, info, events (moby: api/server/router/system)."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import datetime
from typing import Any

import psutil
from aiohttp import web

import kubelab
from kubelab.engine import containers_log_config, query
from kubelab.engine.answers import encode, json_answer, json_stream
from kubelab.engine.containers_config import RUNTIMES
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.events import matches
from kubelab.engine.networks import BUILTIN
from kubelab.images.base import ARCHITECTURES
from kubelab.runtime.logs import timestamp

API_VERSION = "1.44"
MIN_API_VERSION = "1.24"
VERSION = kubelab.__version__
EVENT_FILTERS = ("event", "type", "label", "container", "image", "network", "volume", "scope", "daemon")


def routes(engine: Engine) -> list[web.RouteDef]:
    async def ping(request: web.Request) -> web.Response:
        headers = {"Builder-Version": "1", "Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}
        return web.Response(text="" if request.method == "HEAD" else "OK", headers=headers)

    async def version(_: web.Request) -> web.Response:
        return json_answer(describe_version())

    async def info(_: web.Request) -> web.Response:
        return json_answer(await describe(engine))

    async def events(request: web.Request) -> web.StreamResponse:
        return await stream_events(engine, request)

    async def plugins(_: web.Request) -> web.Response:
        return json_answer([])  # there are none, and none can be installed

    return [
        web.route("GET", "/plugins", plugins),
        web.route("HEAD", "/_ping", ping),
        web.route("GET", "/_ping", ping),
        web.route("GET", "/version", version),
        web.route("GET", "/info", info),
        web.route("GET", "/events", events),
    ]


def describe_version() -> dict[str, Any]:
    common = {
        "ApiVersion": API_VERSION,
        "Arch": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "KernelVersion": platform.release(),
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    }
    details = {**common, "Experimental": "false"}
    return {
        "Platform": {"Name": "Kubernetes by Breaking It: the course's own engine"},
        "Components": [{"Name": "Engine", "Version": VERSION, "Details": details}],
        "Version": VERSION,
        **common,
        "GitCommit": "",
        "GoVersion": "",
        "BuildTime": "",
    }


async def describe(engine: Engine) -> dict[str, Any]:
    """`docker info`. Names that a client may look for and that mean nothing here are left out."""
    await engine.base_image()
    runtime = await engine.runtime.version()
    containers = engine.containers.all()
    paused = sum(container.status == "paused" for container in containers)
    running = sum(container.running for container in containers) - paused
    images = await asyncio.to_thread(engine.store.all)
    release = platform.freedesktop_os_release()
    return {
        "ID": str(engine.home.path),
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running - paused,
        "Images": len(images),
        "Driver": "overlay2" if runtime["level"] == "namespaces" else "vfs",
        "DriverStatus": [["Runtime level", str(runtime["level"])]],
        "Plugins": {
            "Volume": ["local"],
            "Network": sorted(set(BUILTIN.values())),
            "Authorization": None,
            "Log": sorted(set(containers_log_config.DRIVERS) - {"none"}),
        },
        "SystemTime": timestamp(),
        "LoggingDriver": "json-file",
        "Debug": False,
        "ExperimentalBuild": False,
        "LiveRestoreEnabled": False,
        "NFd": psutil.Process().num_fds(),
        "NEventsListener": engine.events.listeners,
        "IndexServerAddress": "https://index.docker.io/v1/",
        **_limits(runtime),
        "KernelVersion": platform.release(),
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count(),
        "MemTotal": psutil.virtual_memory().total,
        "DockerRootDir": str(engine.home.path),
        "Name": platform.node(),
        "Labels": ["app.kubernetes.io/part-of=kubelab"],
        "ServerVersion": VERSION,
        "Runtimes": {name: {"path": "kubelab.runtime"} for name in RUNTIMES},
        "DefaultRuntime": RUNTIMES[0],
        "Swarm": {"LocalNodeState": "inactive"},
        "SecurityOptions": ["name=userns"] if runtime["level"] == "namespaces" else [],
        "Warnings": [f"WARNING: {name}: {text}" for name, text in runtime["limits"].items()] or None,
    }


def _limits(runtime: dict[str, Any]) -> dict[str, Any]:
    """What the kernel enforces; the driver is `none` where no cgroup can be written, as with a rootless dockerd."""
    memory, cpu, pids = (name in runtime["enforced"] for name in ("memory", "cpu", "pids"))
    return {
        "CgroupDriver": "cgroupfs" if runtime["cgroup"] else "none",
        "CgroupVersion": str(runtime["cgroup"] or 1),
        "MemoryLimit": memory,
        "SwapLimit": memory,
        "CpuCfsPeriod": cpu,
        "CpuCfsQuota": cpu,
        "CPUShares": cpu,
        "PidsLimit": pids,
        "OomKillDisable": False,
        "CPUSet": True,
        "IPv4Forwarding": True,
    }


async def stream_events(engine: Engine, request: web.Request) -> web.StreamResponse:
    wanted = query.filters(request, EVENT_FILTERS)
    since, until = _time(request, "since"), _time(request, "until")
    response = json_stream()
    await response.prepare(request)
    async for event in engine.events.follow(since, until):
        if matches(event, wanted):
            await response.write(encode(event) + b"\n")
    return response


def _time(request: web.Request, name: str) -> float | None:
    """Seconds since 1970, as the CLI sends them (`1700000000.000000001`), or RFC 3339."""
    value = request.query.get(name, "")
    if not value:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise DockerError(
            400, f"invalid {name}: {value!r} is neither seconds since 1970 nor an RFC 3339 time"
        ) from None
