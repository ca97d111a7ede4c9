"""All containers of the engine, and their lives: create, start, stop, kill, wait, remove.

Upstream: moby's daemon/{create,start,stop,kill,wait,delete,monitor}.go. A container is a sandbox of its own with one
container in it, on the engine's machine.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubelab.engine import containers_config, containers_names
from kubelab.engine.containers_ports import PublishedPorts, publications
from kubelab.engine.containers_record import ENGINE_GONE, Container, load
from kubelab.engine.errors import DockerError
from kubelab.runtime.api import ContainerState, ContainerStatus, PodSandboxConfig, RuntimeServiceError
from kubelab.runtime.containers import signal_number
from kubelab.runtime.logs import timestamp

if TYPE_CHECKING:
    from kubelab.engine.engine import Engine

logger = logging.getLogger(__name__)

LABEL = "com.docker.container"  # on the runtime's container: the engine's ID of it
STOP_TIMEOUT = 10.0  # seconds, moby's default
CHECK_INTERVAL = 5.0  # seconds between looks at the runtime, for an end whose event got lost
DIAL_TIMEOUT = 10.0  # seconds
NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
NOT_EXECUTABLE = ("permission denied", "not a directory", "is a directory", "exec format error")


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
        found = [container for id, container in self._all.items() if id.startswith(name)]
        if len(found) > 1:
            raise DockerError(400, f"multiple IDs found with provided prefix: {name}")
        if not found:
            raise DockerError(404, f"No such container: {name}")
        return found[0]

    def using(self, image_id: str) -> list[tuple[str, bool]]:
        """The containers made from an image: (ID, whether it runs)."""
        return [(each.id, each.running) for each in self._all.values() if each.image_id == image_id]

    # -- the engine's own life

    async def start(self) -> None:
        for folder in sorted(self._folder().glob("*")):
            if container := load(folder):
                self._all[container.id] = container
        self._engine.image_users.append(self.using)
        self._spawn(self._watch())
        await self._look()
        for container in self.all():
            if container.running:
                await self._publish(container)

    async def stop(self) -> None:
        """The engine ends; its containers run on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for container in self.all():
            if container.ports:
                container.ports.close()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
                self._spawn(self._take_end(container))

    async def _take_end(self, container: Container) -> None:
        async with container.busy:  # one that ends at once has ended before its start is written down
            if container.running:
                with suppress(RuntimeServiceError):
                    await self._ended(container, await self._engine.runtime.container_status(container.runtime_id))

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
            if container.running and (status is None or status.state is ContainerState.EXITED):
                await self._ended(container, status)
            elif status is None:
                container.runtime_id = container.sandbox_id = ""  # went with the runtime

    # -- create

    async def create(self, body: dict[str, Any], name: str) -> Container:
        """Raises DockerError 400, 409, or ImageNotFound."""
        await self._engine.base_image()
        image = self._engine.store.resolve(body.get("Image") or "")
        config, host_config = containers_config.complete(body, image)
        containers_config.mounts(host_config)
        names = {container.name: container for container in self.all()}
        name = containers_names.check(name) if name else containers_names.random_name(names)
        if name in names:
            raise DockerError(
                409,
                f'Conflict. The container name "/{name}" is already in use by container "{names[name].id}". '
                "You have to remove (or rename) that container to be able to reuse that name.",
            )
        identifier = secrets.token_hex(32)
        container = Container(
            identifier, name, timestamp(), body["Image"], image.id, config, host_config, self._folder() / identifier
        )
        config["Hostname"] = container.hostname
        self._all[identifier] = container
        container.save()
        container.log_path.touch(mode=0o600)
        self._event(container, "create")
        return container

    def _folder(self) -> Any:
        return self._engine.home.engine / "containers"

    # -- start

    async def run(self, container: Container) -> bool:
        """`docker start`. False where it runs already. Raises DockerError."""
        async with container.busy:
            if container.running:
                return False
            try:
                await self._prepare(container)
                await self._publish(container)
                await self._engine.runtime.start_container(container.runtime_id)
            except (RuntimeServiceError, DockerError) as error:
                await self._start_failed(container, str(error))
                raise start_error(container, error) from error
            status = await self._engine.runtime.container_status(container.runtime_id)
            container.status, container.started_at, container.pid = "running", status.started_at, status.pid
            container.exit_code, container.error, container.oom_killed = 0, "", False
            await container.tell()
            self._event(container, "start")
            if status.state is ContainerState.EXITED:  # already
                await self._ended(container, status)
            return True

    async def prepare(self, container: Container) -> None:
        """See to what the runtime holds of it, and so to its files, without starting it."""
        async with container.busy:
            await self._prepare(container)
            container.save()

    async def _prepare(self, container: Container) -> None:
        """See to the sandbox and the runtime's container; those of a run before are used again."""
        runtime = self._engine.runtime
        if not container.sandbox_id:
            await runtime.ensure_machine(self._engine.machine)
            container.sandbox_id = await runtime.run_pod_sandbox(
                PodSandboxConfig(
                    name=container.name,
                    namespace="docker",
                    uid=container.id,
                    machine=self._engine.machine.name,
                    hostname=container.hostname,
                    host_aliases=containers_config.extra_hosts(container.host_config),
                )
            )
            container.ip = (await runtime.pod_sandbox_status(container.sandbox_id)).ip
        if not container.runtime_id:
            config = containers_config.runtime_config(
                container.config,
                container.host_config,
                name=container.name,
                image_id=container.image_id,
                labels={**container.config["Labels"], LABEL: container.id},
                log=container.log_path,
            )
            container.runtime_id = await runtime.create_container(container.sandbox_id, config)

    async def _publish(self, container: Container) -> None:
        async def dial(port: int) -> Any:
            return await self._engine.runtime.dial(self._engine.machine.name, container.ip, port, DIAL_TIMEOUT)

        ports = PublishedPorts(self._engine.settings.host_address, dial)
        await ports.open(publications(container.config, container.host_config))
        container.ports = ports

    async def _start_failed(self, container: Container, message: str) -> None:
        container.error = message
        container.exit_code = exit_code_of(message)
        container.ends += 1
        if container.ports:
            container.ports.close()
        await container.tell()
        if container.auto_remove:
            self._spawn(self.remove(container))

    async def _ended(self, container: Container, status: ContainerStatus | None) -> None:
        if not container.running:
            return
        container.status, container.pid = "exited", 0
        container.exit_code = status.exit_code if status else ENGINE_GONE
        container.finished_at = status.finished_at if status else timestamp()
        container.oom_killed = bool(status and status.reason == "OOMKilled")
        container.ends += 1
        if container.ports:
            container.ports.close()
        if container.oom_killed:
            self._event(container, "oom")
        self._event(container, "die", exitCode=str(container.exit_code))
        await container.tell()
        if container.auto_remove:
            self._spawn(self.remove(container))

    # -- stop, kill, wait, remove

    async def halt(self, container: Container, wait: float | None = None, signal: str = "") -> bool:
        """`docker stop`. False where it does not run. `wait` in seconds; a negative one is for ever."""
        if not container.running:
            return False
        if wait is None:
            configured = container.config.get("StopTimeout")
            wait = STOP_TIMEOUT if configured is None else configured
        before = container.ends
        runtime, identifier = self._engine.runtime, container.runtime_id
        number = signal_number(signal or container.config["StopSignal"] or "SIGTERM")
        with suppress(RuntimeServiceError):  # it ends just now
            await runtime.kill_container(identifier, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait if wait >= 0 else None):
                await self.end_after(container, before)
        await runtime.stop_container(identifier, 0)
        await self.end_after(container, before)
        self._event(container, "stop")
        return True

    async def kill(self, container: Container, signal: str) -> None:
        """Raises DockerError 409 where it does not run, RuntimeServiceError 400 for a signal that there is not."""
        number = signal_number(signal or "SIGKILL")
        if not container.running:
            raise DockerError(409, f"cannot kill container: {container.name}: container {container.id} is not running")
        before = container.ends
        await self._engine.runtime.kill_container(container.runtime_id, number)
        self._event(container, "kill", signal=str(number))
        if number == 9:
            await self.end_after(container, before)

    async def end_after(self, container: Container, ends: int) -> None:
        """Wait until it has ended more often than `ends` times, or is removed."""
        async with container.changed:
            await container.changed.wait_for(lambda: container.ends > ends or container.removed)

    async def removal(self, container: Container) -> None:
        async with container.changed:
            await container.changed.wait_for(lambda: container.removed)

    async def remove(self, container: Container, *, force: bool = False) -> None:
        """Raises DockerError 409 where it runs and `force` is not given."""
        if container.running:
            if not force:
                raise DockerError(
                    409,
                    f'cannot remove container "/{container.name}": container is running: '
                    "stop the container before removing or force remove",
                )
            with suppress(DockerError):  # it has ended meanwhile
                await self.kill(container, "SIGKILL")
        async with container.busy:
            if container.removed:
                return
            if container.sandbox_id:
                with suppress(RuntimeServiceError):
                    await self._engine.runtime.remove_container(container.runtime_id)
                    await self._engine.runtime.stop_pod_sandbox(container.sandbox_id)
                    await self._engine.runtime.remove_pod_sandbox(container.sandbox_id)
            self._all.pop(container.id, None)
            container.removed = True
            container.forget()
            self._event(container, "destroy")
            await container.tell()

    async def rename(self, container: Container, name: str) -> None:
        name = containers_names.check(name)
        if any(each.name == name for each in self.all()):
            raise DockerError(409, f'Conflict. The container name "/{name}" is already in use.')
        old, container.name = container.name, name
        await container.tell()
        self._event(container, "rename", oldName=f"/{old}")

    def _event(self, container: Container, action: str, **more: str) -> None:
        self._engine.events.publish("container", action, container.id, **container.attributes(**more))


def exit_code_of(message: str) -> int:
    """What a container that could not be started ended with (moby: daemon/errors.go, translateContainerdStartErr)."""
    if any(words in message for words in NOT_FOUND):
        return 127
    return 126 if any(words in message for words in NOT_EXECUTABLE) else 128


def start_error(container: Container, error: Exception) -> DockerError:
    """How `docker start` says why it could not start."""
    message = str(error)
    if isinstance(error, DockerError):
        return DockerError(
            500,
            f"failed to set up container networking: driver failed programming external connectivity on endpoint "
            f"{container.name} ({container.id}): {message}",
        )
    return DockerError(
        400 if exit_code_of(message) in (126, 127) else 500, f"failed to create task for container: {message}"
    )
