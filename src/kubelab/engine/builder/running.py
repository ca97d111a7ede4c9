"""RUN: a program in a container over the image so far; what it prints, how it ends, what it changed.

Follows moby's builder/dockerfile/containerbackend.go: attach, start, wait, and whatever happens, remove.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from kubelab.engine.builder.copying import Copy
from kubelab.engine.builder.copying import layer as copy_layer
from kubelab.engine.builder.image_files import ImageFiles
from kubelab.engine.builder.limits import Limits
from kubelab.engine.builder.run_config import RunConfig
from kubelab.engine.builder.steps import new_container_id
from kubelab.engine.engine import Engine
from kubelab.images import changes
from kubelab.images.layers import remove_tree
from kubelab.images.unpack import unpack
from kubelab.images.view import MergedView
from kubelab.runtime import logs
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Mount,
    PodSandboxConfig,
    RuntimeServiceError,
)
from kubelab.runtime.containers import START_PREFIX

Write = Callable[[str, bytes], Awaitable[None]]  # stream ("stdout" | "stderr"), what was printed
CHECK_INTERVAL = (
    1.0  # seconds; the runtime's events are what we wait for, a look at the status is for one that got lost
)


class CommandFailed(Exception):
    """The program ended with a code other than 0."""

    def __init__(self, argv: list[str], code: int) -> None:
        super().__init__(f"The command '{' '.join(argv)}' returned a non-zero code: {code}")
        self.code = code


@dataclass(frozen=True)
class Run:
    image: str  # ID of the image so far
    argv: list[str]
    config: RunConfig
    arguments: dict[str, str]  # build arguments, added to the environment
    view: MergedView  # the image's files
    limits: Limits = field(default_factory=Limits)
    script: tuple[str, str] = ("", "")  # where in the container a program that is to be run is put, and its text


def nothing_to_run(program: str) -> str:
    """What runc says of a program that is not there: from scratch there is none at all."""
    why = f"stat {program}: no such file or directory" if "/" in program else "executable file not found in $PATH"
    return f'{START_PREFIX}exec: "{program}": {why}: unknown'


LABEL = "kubelab.dev/build"  # on the sandboxes of builds


async def sweep(engine: Engine) -> None:
    """Remove what the builds of an engine that was killed have left in the runtime and on disk."""
    for sandbox in await engine.runtime.list_pod_sandbox(machine=engine.machine.name):
        if LABEL in sandbox.config.labels:
            await engine.runtime.stop_pod_sandbox(sandbox.id)
            await engine.runtime.remove_pod_sandbox(sandbox.id)
    await asyncio.to_thread(shutil.rmtree, engine.home.engine / "builds", ignore_errors=True)


@contextlib.asynccontextmanager
async def container(engine: Engine, run: Run) -> AsyncIterator[str]:
    """A container for one RUN, and its ID. Leaves nothing behind."""
    name = new_container_id()
    log = engine.home.engine / "builds" / f"{name}.log"
    await asyncio.to_thread(log.parent.mkdir, mode=0o700, exist_ok=True)
    await engine.runtime.ensure_machine(engine.machine)
    place, network = engine.wiring.place_of(run.limits.network)
    sandbox = await engine.runtime.run_pod_sandbox(
        PodSandboxConfig(
            name=f"build-{name[:12]}",
            namespace="docker",
            uid=name,
            machine=engine.machine.name,
            hostname=name[:12],
            labels={LABEL: ""},
            host_aliases=dict(run.limits.hosts),
            shm_size=run.limits.shm_size,
            network=place,
            dns=engine.wiring.dns_of(network),
        )
    )
    volumes = log.with_suffix("")
    try:
        if network is not None:
            await engine.wiring.join(sandbox, network)
        mounts = await asyncio.to_thread(_volumes, run, volumes) + await asyncio.to_thread(_script, run, volumes)
        yield await engine.runtime.create_container(sandbox, _container_config(run, str(log), mounts))
    finally:
        engine.wiring.leave(sandbox)
        await asyncio.shield(_remove(engine, sandbox, log))
        await asyncio.to_thread(remove_tree, volumes)


def _volumes(run: Run, folder: Path) -> tuple[Mount, ...]:
    """A folder for each VOLUME, with what the image has there; it goes with the container."""
    mounts = []
    for number, path in enumerate(sorted(run.config["Volumes"] or ())):
        host = folder / str(number)
        host.mkdir(mode=0o755, parents=True)
        files = ImageFiles(run.view)
        if files.is_dir(inside := files.resolve(path.strip("/"))):
            layer = Copy("COPY", (inside,), "/", "", "")
            with copy_layer(layer, files, MergedView([]), "/") as tar:
                unpack(tar, host)
        mounts.append(Mount(path, str(host)))
    return tuple(mounts)


def _script(run: Run, folder: Path) -> tuple[Mount, ...]:
    path, text = run.script
    if not path:
        return ()
    folder.mkdir(mode=0o755, exist_ok=True)
    host = folder / "script"
    host.write_text(text, errors="surrogateescape")
    host.chmod(0o755)
    return (Mount(path, str(host)),)


def _container_config(run: Run, log: str, mounts: tuple[Mount, ...]) -> ContainerConfig:
    environment = [(key, value) for key, _, value in (each.partition("=") for each in run.config["Env"] or [])]
    return ContainerConfig(
        name="build",
        image=run.image,
        argv=tuple(run.argv),
        env=(*environment, *run.arguments.items()),
        working_dir=run.config["WorkingDir"] or "/",
        user=run.config["User"],
        log_path=log,
        mounts=mounts,
        resources=run.limits.resources,
        ulimits=run.limits.ulimits,
    )


async def _remove(engine: Engine, sandbox: str, log: Path) -> None:
    await engine.runtime.stop_pod_sandbox(sandbox)
    await engine.runtime.remove_pod_sandbox(sandbox)
    await asyncio.to_thread(log.unlink, missing_ok=True)


async def execute(engine: Engine, container_id: str, argv: list[str], write: Write) -> None:
    """Start the container, pass its output on while it runs, and wait for its end. Raises CommandFailed."""
    ended = asyncio.Event()
    waiting = asyncio.create_task(_wait(engine, container_id, ended))
    try:
        status = await engine.runtime.container_status(container_id)
        await _start(engine, container_id)
        async for entry in logs.read(status.config.log_path, follow=True, ended=ended.is_set):
            await write(entry.stream, entry.data)
        status = await waiting
    finally:
        waiting.cancel()
    if status.exit_code:
        raise CommandFailed(argv, status.exit_code)


async def _start(engine: Engine, container_id: str) -> None:
    """dockerd itself looks up who a program runs as, so what is wrong with that is not told as its runtime's words."""
    try:
        await engine.runtime.start_container(container_id)
    except RuntimeServiceError as error:
        message = str(error).removeprefix(START_PREFIX).removesuffix(": unknown")
        if message.startswith("unable to find "):
            raise ValueError(message) from None
        raise


async def _wait(engine: Engine, container_id: str, ended: asyncio.Event) -> ContainerStatus:
    """The container's status once it has ended."""
    changed = asyncio.Event()

    async def watch() -> None:
        async for event in engine.runtime.events():
            if event.container_id == container_id:
                changed.set()

    watcher = asyncio.create_task(watch())
    try:
        while True:
            changed.clear()
            status = await engine.runtime.container_status(container_id)
            if status.state == ContainerState.EXITED:
                return status
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), CHECK_INTERVAL)
    finally:
        watcher.cancel()
        ended.set()


def changed_files(engine: Engine, container_id: str) -> BinaryIO:
    """The layer's tar of what the container wrote; blocks while it reads the files."""
    return changes.diff(engine.runtime.writable_layer(container_id))
