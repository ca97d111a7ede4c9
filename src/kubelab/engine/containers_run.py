"""A container's runs: start, end, restart, stop, kill, pause, other limits.

Upstream: moby's daemon/{start,monitor,stop,kill,pause,unpause,update}.go. A container is a sandbox of its own with one
container in it, on the engine's machine.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubelab.engine import (
    containers_config,
    containers_health,
    containers_limits,
    containers_links,
    containers_log_config,
    containers_mounts,
    containers_restart,
)
from kubelab.engine.containers_ports import PublishedPorts, publications
from kubelab.engine.containers_record import ENGINE_GONE, Container
from kubelab.engine.errors import DockerError
from kubelab.images.view import MergedView
from kubelab.runtime.api import ContainerState, ContainerStatus, RuntimeServiceError
from kubelab.runtime.logs import timestamp

if TYPE_CHECKING:
    from kubelab.engine.engine import Engine

logger = logging.getLogger(__name__)

LABEL = "com.docker.container"  # on the runtime's container: the engine's ID of it
STOP_TIMEOUT = 10.0  # seconds, moby's default
DIAL_TIMEOUT = 10.0  # seconds
KILL, STOP = 9, 15
NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
NOT_EXECUTABLE = ("permission denied", "not a directory", "is a directory", "exec format error")


class Runner:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._began: dict[str, float] = {}  # container ID -> when its run began

    # -- start

    async def start(self, container: Container, *, again: bool = False) -> bool:
        """`docker start`, or (`again`) a restart by policy. False where it runs already. Raises DockerError."""
        async with container.busy:
            if container.status == "paused":
                raise DockerError(409, "cannot start a paused container, try unpause instead")
            if container.running and not (again and container.status == "restarting"):
                return False
            if not again:
                container.restart_count, container.backoff, container.manually_stopped = 0, 0.0, False
            try:
                await self._prepare(container)
                await self.publish(container)
                await self._engine.runtime.start_container(container.runtime_id)
            except (RuntimeServiceError, DockerError) as error:
                await self._start_failed(container, error)
                raise start_error(container, error) from error
            await self._started(container)
            return True

    async def _started(self, container: Container) -> None:
        status = await self._engine.runtime.container_status(container.runtime_id)
        container.status, container.started_at, container.pid = "running", status.started_at, status.pid
        container.exit_code, container.error, container.oom_killed = 0, "", False
        self._began[container.id] = time.monotonic()
        self.watch_health(container)
        for mount in container.mount_points:
            if mount.type == "volume":
                self._mounted("mount", container, mount)
        await container.tell()
        self._event(container, "start")
        if status.state is ContainerState.EXITED:  # already
            await self.ended(container, status)

    def _mounted(self, action: str, container: Container, mount: containers_mounts.MountPoint) -> None:
        more = {"destination": mount.destination, "propagation": "", "read/write": str(not mount.readonly).lower()}
        if action == "unmount":
            more = {}
        self._engine.events.publish("volume", action, mount.name, container=container.id, driver="local", **more)

    async def prepare(self, container: Container) -> None:
        """See to what the runtime holds of it, and so to its files, without starting it."""
        async with container.busy:
            await self._prepare(container)
            if not container.alive:
                await self._engine.wiring.release(container)
            container.save()

    async def _prepare(self, container: Container) -> None:
        """See to the sandbox and the runtime's container; those of a run before are used again."""
        await self._engine.wiring.attach(container)
        if container.runtime_id:
            return
        points = container.mount_points
        await asyncio.to_thread(containers_mounts.make_missing, points)
        linked = containers_links.environment(container, self._engine.containers.find)
        config = containers_config.runtime_config(
            {**container.config, "Env": [*linked, *container.config["Env"]]},
            container.host_config,
            name=container.name,
            image_id=container.image_id,
            labels={**container.config["Labels"], LABEL: container.id},
            log=container.log_path,
            mounts=tuple(each.for_runtime() for each in points),
            groups=self._groups(container),
        )
        container.runtime_id = await self._engine.runtime.create_container(container.sandbox_id, config)

    def _groups(self, container: Container) -> tuple[int, ...]:
        if not container.host_config.get("GroupAdd"):
            return ()
        view = MergedView(self._engine.store.lower_dirs(container.image_id))
        return containers_limits.groups(container.host_config, view.find(str(view.resolve("/etc/group"))))

    async def publish(self, container: Container) -> None:
        """Open its ports; where it has the host's network, or another's, there is nothing to open."""

        async def dial(port: int) -> Any:
            return await self._engine.runtime.dial(self._engine.machine.name, container.ip, port, DIAL_TIMEOUT)

        async def datagrams() -> Any:
            return await self._engine.runtime.open_socket(self._engine.machine.name, type=2)

        mode = container.host_config["NetworkMode"]
        wanted = publications(container.config, container.host_config)
        wanted = [] if mode in ("host", "none") or mode.startswith("container:") else wanted
        ports = PublishedPorts(self._engine.settings.host_address, dial, datagrams, lambda: container.ip)
        await ports.open(wanted)
        container.ports = ports

    async def _start_failed(self, container: Container, error: Exception) -> None:
        container.error = str(error)
        container.exit_code = exit_code_of(container.error)
        container.status = "exited" if container.status == "restarting" else container.status
        container.ends += 1
        container.stops += 1
        if container.ports:
            container.ports.close()
        if container.sandbox_id:
            await self._engine.wiring.release(container)
        await container.tell()
        if container.auto_remove:
            self._engine.containers.spawn(self._engine.containers.remove(container, volumes=True))

    # -- health

    def watch_health(self, container: Container) -> None:
        """Begin to probe where it has a health check."""
        self._end_health(container)
        if not containers_health.command(container.config):
            container.health = None
            return

        async def run(argv: list[str], timeout: float) -> tuple[int, bytes]:  # noqa: ASYNC109 (the check's own)
            try:
                result = await self._engine.runtime.exec_sync(container.runtime_id, argv, timeout)
            except RuntimeServiceError as error:
                if error.code == "DeadlineExceeded":
                    raise TimeoutError from None
                raise
            return result.exit_code, result.stdout + result.stderr

        async def changed(status: str) -> None:
            if status:
                self._event(container, f"health_status: {status}")
            await container.tell()

        container.health = containers_health.Monitor(container.config, run, changed, self._engine.clock)
        container.health_task = self._engine.containers.spawn(container.health.watch())

    def _end_health(self, container: Container) -> None:
        if container.health_task:
            container.health_task.cancel()
            container.health_task = None

    # -- end

    async def ended(self, container: Container, status: ContainerStatus | None) -> None:
        """A run of it is over, by itself or not; `status` is None where nobody saw how."""
        if not container.alive:
            return
        container.pid = 0
        container.exit_code = status.exit_code if status else ENGINE_GONE
        container.finished_at = status.finished_at if status else timestamp()
        container.oom_killed = bool(status and status.reason == "OOMKilled")
        container.ends += 1
        self._end_health(container)
        if container.ports:
            container.ports.close()
        if container.oom_killed:
            self._event(container, "oom")
        ran = time.monotonic() - self._began.pop(container.id, time.monotonic())
        again = status is not None and containers_restart.wanted(container)
        container.status = "restarting" if again else "exited"
        self._event(container, "die", exitCode=str(container.exit_code), execDuration=str(int(ran)))
        if again or not container.auto_remove:  # else it goes with all that it has
            await self._engine.wiring.release(container)
        for mount in container.mount_points:
            if mount.type == "volume":
                self._mounted("unmount", container, mount)
        if again:
            container.backoff = containers_restart.next_wait(container, ran)
            container.restarting = self._engine.containers.spawn(self._restart(container))
        else:
            container.stops += 1
        await container.tell()
        if container.auto_remove and not again:
            self._engine.containers.spawn(self._engine.containers.remove(container, volumes=True))

    async def _restart(self, container: Container) -> None:
        await self._engine.clock.sleep(container.backoff)
        if container.removed or container.status != "restarting":
            return
        container.restart_count += 1
        with suppress(DockerError):  # it is in the record
            await self.start(container, again=True)

    async def _give_up_restarting(self, container: Container) -> None:
        if container.restarting:
            container.restarting.cancel()
        container.status = "exited"
        container.stops += 1
        await container.tell()

    # -- stop, kill

    async def halt(self, container: Container, wait: float | None = None, signal: str = "") -> bool:
        """`docker stop`. False where it does not run. `wait` in seconds; a negative one is for ever."""
        number = containers_config.check_signal(signal or container.config["StopSignal"] or "SIGTERM")
        if not container.running:
            return False
        container.manually_stopped = True
        if container.status == "restarting":
            await self._give_up_restarting(container)
            self._event(container, "stop")
            return True
        if wait is None:
            configured = container.config.get("StopTimeout")
            wait = STOP_TIMEOUT if configured is None else configured
        before = container.ends
        if wait:
            with suppress(RuntimeServiceError):  # it ends just now
                await self._signal(container, number)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if wait >= 0 else None):
                    await container.end_after(before)
        if container.ends == before:
            with suppress(RuntimeServiceError):
                await self._signal(container, KILL)
        await container.end_after(before)
        self._event(container, "stop")
        return True

    async def _signal(self, container: Container, number: int) -> None:
        await self._engine.runtime.kill_container(container.runtime_id, number)
        if container.status == "paused":  # it goes on, so that the signal arrives
            container.status = "running"
        self._event(container, "kill", signal=str(number))

    async def kill(self, container: Container, signal: str) -> None:
        """Raises DockerError 409 where it does not run, 400 for a signal that there is not."""
        number = containers_config.check_signal(signal or "SIGKILL")
        if not container.running:
            raise DockerError(409, f"Cannot kill container: {container.name}: Container {container.id} is not running")
        stop_signal = containers_config.check_signal(container.config["StopSignal"] or "SIGTERM")
        if number in (KILL, stop_signal):
            container.manually_stopped = True
        if container.status == "restarting":
            await self._give_up_restarting(container)
            return
        before = container.ends
        await self._signal(container, number)
        if number == KILL:
            await container.end_after(before)

    # -- pause, limits

    async def pause(self, container: Container) -> None:
        self._require_alive(container)
        if container.status == "paused":
            raise DockerError(409, f"Container {container.id} is already paused")
        await self._engine.runtime.pause_container(container.runtime_id)
        container.status = "paused"
        await container.tell()
        self._event(container, "pause")

    async def unpause(self, container: Container) -> None:
        if container.status != "paused":
            raise DockerError(500, f"Container {container.id} is not paused")
        await self._engine.runtime.resume_container(container.runtime_id)
        container.status = "running"
        await container.tell()
        self._event(container, "unpause")

    def _require_alive(self, container: Container) -> None:
        if container.status == "restarting":
            raise DockerError(409, f"Container {container.id} is restarting, wait until the container is running")
        if not container.alive:
            raise DockerError(409, f"Container {container.id} is not running")

    async def update(self, container: Container, asked: dict[str, Any]) -> list[str]:
        """`docker update`: other limits and another restart policy; returns warnings. Raises DockerError."""
        host = {**container.host_config, **{name: value for name, value in asked.items() if value}}
        containers_limits.check_resources(host)
        warnings = containers_limits.discard(host)
        policy = asked.get("RestartPolicy") or {}
        if policy.get("Name"):
            auto = bool(host["AutoRemove"])
            if auto and policy["Name"] != "no":
                raise DockerError(
                    409, "Restart policy cannot be updated because AutoRemove is enabled for the container"
                )
            host["RestartPolicy"] = containers_config.check_restart_policy(policy, auto_remove=auto)
        else:
            host["RestartPolicy"] = container.host_config["RestartPolicy"]
        async with container.busy:
            resources = containers_limits.resources(host)
            if container.runtime_id and resources != containers_limits.resources(container.host_config):
                await self._engine.runtime.update_container_resources(container.runtime_id, resources)
            container.host_config = host
            container.save()
        self._event(container, "update")
        return warnings

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
        if error.status != 500 or message.startswith((containers_log_config.FAILED, containers_links.NOT_RUNNING)):
            return error
        return DockerError(
            500,
            f"failed to set up container networking: driver failed programming external connectivity on endpoint "
            f"{container.name} ({container.id}): {message}",
        )
    return DockerError(
        400 if exit_code_of(message) in (126, 127) else 500, f"failed to create task for container: {message}"
    )
