"""All containers of the engine: finding, making, renaming and removing them, and noticing that one has ended.

Upstream: moby's daemon/{create,delete,rename,monitor}.go. What one's runs are is in containers_run.py.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import platform
import secrets
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubelab.engine import (
    containers_config,
    containers_links,
    containers_mounts,
    containers_names,
    containers_restart,
    volumes,
)
from kubelab.engine.containers_mounts import MountPoint
from kubelab.engine.containers_record import Container, load
from kubelab.engine.errors import DockerError
from kubelab.images.store import Image
from kubelab.images.view import MergedView
from kubelab.runtime.api import ContainerState, RuntimeServiceError
from kubelab.runtime.logs import timestamp

if TYPE_CHECKING:
    from kubelab.engine.engine import Engine

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 5.0  # seconds between looks at the runtime, for an end whose event got lost


class Containers:
    """The noun behind the routes. `await start()` takes back what the engine before it left."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._all: dict[str, Container] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- finding

    def all(self) -> list[Container]:
        return list(self._all.values())

    def find(self, name: str) -> Container:
        """By ID, name, or the beginning of an ID. Raises DockerError 404, or 400 where several begin so."""
        name = name.removeprefix("/")
        if name in self._all:
            return self._all[name]
        for container in self._all.values():
            if container.name == name:
                return container
        found = [container for id, container in self._all.items() if name and id.startswith(name)]
        if len(found) > 1:
            raise DockerError(400, f"multiple IDs found with provided prefix: {name}")
        if not found:
            raise DockerError(404, f"No such container: {name}")
        return found[0]

    def using(self, image_id: str) -> list[tuple[str, bool]]:
        """The containers made from an image: (ID, whether it runs)."""
        return [(each.id, each.running) for each in self._all.values() if each.image_id == image_id]

    def using_volume(self, name: str) -> list[str]:
        return [each.id for each in self._all.values() if any(mount["name"] == name for mount in each.mounts)]

    def on_network(self, name: str) -> list[Container]:
        return [each for each in self._all.values() if name in each.endpoints]

    # -- the engine's own life

    async def start(self) -> None:
        for folder in sorted((self._engine.home.engine / "containers").glob("*")):
            if container := load(folder):
                self._all[container.id] = container
        self._engine.image_users.append(self.using)
        self.spawn(self._watch())
        for container in self.all():
            if container.status == "restarting":
                container.status = "exited"
        await self._look()
        for container in self.all():
            await self._take_back(container)

    async def _take_back(self, container: Container) -> None:
        """One of the engine before: go on with it where it runs, start it again where its policy says so."""
        if container.alive:
            await self._engine.runner.publish(container)
            self._engine.runner.watch_health(container)
            await self._engine.wiring.serve_names(container)
        elif containers_restart.wanted_at_start(container):
            self.spawn(self._start_again(container))

    async def _start_again(self, container: Container) -> None:
        try:
            await self._engine.runner.start(container)
        except DockerError as error:
            logger.warning("container %s was to start with the engine: %s", container.name, error)

    async def stop(self) -> None:
        """The engine ends; its containers run on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for container in self.all():
            if container.ports:
                container.ports.close()

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _watch(self) -> None:
        """Learn of ends by the runtime's events; a look now and then is for one that got lost."""
        while True:
            with suppress(RuntimeServiceError, TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL):
                    async for event in self._engine.runtime.events():
                        if event.type == "CONTAINER_STOPPED_EVENT":
                            self._stopped(event.container_id)
            await self._look()

    def _stopped(self, runtime_id: str) -> None:
        for container in self.all():
            if container.runtime_id == runtime_id:
                self.spawn(self._take_end(container))

    async def _take_end(self, container: Container) -> None:
        async with container.busy:  # one that ends at once has ended before its start is written down
            if container.alive:
                with suppress(RuntimeServiceError):
                    status = await self._engine.runtime.container_status(container.runtime_id)
                    if status.state is ContainerState.EXITED:
                        await self._engine.runner.ended(container, status)

    async def _look(self) -> None:
        """Compare what should run with what runs; leaving out what is seen to by somebody else while we ask."""
        known = [(each, each.runtime_id, each.started_at) for each in self.all() if not each.busy.locked()]
        try:
            found = await self._engine.runtime.list_containers(machine=self._engine.machine.name)
        except RuntimeServiceError as error:
            logger.warning("cannot list the runtime's containers: %s", error)
            return
        statuses = {status.id: status for status in found}
        for container, *seen in known:
            if container.busy.locked() or seen != [container.runtime_id, container.started_at]:
                continue
            status = statuses.get(container.runtime_id)
            if container.alive and (status is None or status.state is ContainerState.EXITED):
                await self._engine.runner.ended(container, status)
            if status is None and container.runtime_id:
                self._engine.wiring.forget(container)  # went with the runtime

    # -- create

    async def create(self, body: dict[str, Any], name: str) -> Container:
        """Raises DockerError 400, 409, or ImageNotFound."""
        await self._engine.base_image()
        image = self._engine.store.resolve(body.get("Image") or "")
        config, host, warnings = containers_config.complete(body, image)
        points = containers_mounts.parse(config, host, self._engine.folders, self._mounts_of)
        name = self._free_name(name)
        identifier = secrets.token_hex(32)
        endpoints = self._engine.wiring.plan(identifier, config, host, body.get("NetworkingConfig") or {})
        folder = self._engine.home.engine / "containers" / identifier
        container = Container(identifier, name, timestamp(), body["Image"], image.id, config, host, folder)
        container.endpoints, container.warnings = endpoints, warnings
        container.macs = self._engine.wiring.macs(config, host, body.get("NetworkingConfig") or {})
        container.links = containers_links.parse(host.get("Links") or (), self.find)
        config["Hostname"] = self._hostname(container)
        self._all[identifier] = container  # the name is taken from here on
        try:
            mounts = [await asyncio.to_thread(self._volume, point, image) for point in points]
        except BaseException:
            del self._all[identifier]
            raise
        container.mounts = [dataclasses.asdict(each) for each in mounts]
        container.save()
        container.log_path.touch(mode=0o600)
        self.event(container, "create")
        return container

    def _free_name(self, name: str) -> str:
        names = {container.name: container for container in self.all()}
        if not name:
            return containers_names.random_name(names)
        name = containers_names.check(name)
        if name in names:
            raise DockerError(
                409,
                f'Conflict. The container name "/{name}" is already in use by container "{names[name].id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )
        return name

    def _hostname(self, container: Container) -> str:
        mode = container.host_config["NetworkMode"]
        uts = container.host_config["UTSMode"] == "host"
        if uts and container.config["Hostname"]:
            raise DockerError(400, "conflicting options: hostname and the UTS mode")
        if (mode == "host" and not container.config["Hostname"]) or uts:
            return platform.node()
        if mode.startswith("container:"):
            return self.find(mode.partition(":")[2]).hostname
        return container.hostname

    def _mounts_of(self, name: str) -> list[MountPoint]:
        """For `--volumes-from`. Raises DockerError 400."""
        try:
            return [each for each in self.find(name).mount_points if each.type != "tmpfs"]
        except DockerError as error:
            raise DockerError(400, str(error)) from None

    def _volume(self, point: MountPoint, image: Image) -> MountPoint:
        """Where a volume is on disk; a new one is made, and filled from the image."""
        if point.type != "volume":
            return point
        labels = {volumes.ANONYMOUS: ""} if point.anonymous else None
        volume = self._engine.volumes.create(point.name, labels)
        if point.copy:
            volumes.copy_up(MergedView(self._engine.store.lower_dirs(image.id)), point.destination, volume.data)
        return dataclasses.replace(point, name=volume.name, source=str(volume.data))

    # -- remove, rename

    async def remove(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """With `volumes` its anonymous ones, too. Raises DockerError 409 where it runs and `force` is not given."""
        if container.running:
            if not force:
                raise _running(container)
            with suppress(DockerError):  # it has ended meanwhile
                await self._engine.runner.kill(container, "SIGKILL")
        async with container.busy:
            if container.removed:
                return
            with suppress(RuntimeServiceError):
                if container.runtime_id:
                    await self._engine.runtime.remove_container(container.runtime_id)
            await self._engine.wiring.detach(container)
            self._all.pop(container.id, None)
            container.removed = True
            container.forget()
            for mount in container.mount_points if volumes else ():
                if mount.anonymous:
                    with suppress(DockerError):  # another container has it by --volumes-from
                        self._engine.volumes.remove(mount.name)
            self.event(container, "destroy")
            await container.tell()

    async def rename(self, container: Container, name: str) -> None:
        """Raises DockerError 400, 409."""
        if not name:
            raise DockerError(400, "Neither old nor new names may be empty")
        if name.removeprefix("/") == container.name:
            raise DockerError(400, "Renaming a container with the same name as its current name")
        try:
            name = self._free_name(name)
        except DockerError as error:
            raise DockerError(error.status, f"Error when allocating new name: {error}") from None
        old, container.name = container.name, name
        await container.tell()
        await self._engine.wiring.renamed(container)
        self.event(container, "rename", oldName=f"/{old}")

    def event(self, container: Container, action: str, **more: str) -> None:
        self._engine.events.publish("container", action, container.id, **container.attributes(**more))


def _running(container: Container) -> DockerError:
    what = "paused and must be unpaused first" if container.status == "paused" else container.status
    return DockerError(
        409,
        f'cannot remove container "/{container.name}": container is {what}: '
        "stop the container before removing or force remove",
    )
