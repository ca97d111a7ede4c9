"""Containers: the second half of the runtime service (CRI: CreateContainer, StartContainer, ExecSync, …)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import secrets
import shutil
import signal
from typing import Any, Protocol

from kubelab.home import Home
from kubelab.runtime import capabilities, descriptors, memory, proc
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerState,
    ContainerStats,
    Resources,
    RuntimeServiceError,
    SandboxState,
)
from kubelab.runtime.cgroups import Cgroup, Cgroups
from kubelab.runtime.container import Container
from kubelab.runtime.events import Events
from kubelab.runtime.isolation import Isolation, Stdio
from kubelab.runtime.process import Process, StartError
from kubelab.runtime.sandbox import Sandbox
from kubelab.runtime.supervised import Exit, Supervised, fork

# What containerd's shim puts before runc's message; the kubelet and dockerd show it, and dockerd reads it.
_UNABLE = "unable to start container process: "
START_PREFIX = "failed to create shim task: OCI runtime create failed: runc create failed: " + _UNABLE
EXEC_PREFIX = "OCI runtime exec failed: exec failed: " + _UNABLE


class Images(Protocol):
    """The part of `kubelab.images.ImageStore` that the runtime reads."""

    def lower_dirs(self, image_id: str) -> list[Any]: ...
    def get_image(self, image_id: str) -> Any: ...


class Containers:
    def __init__(self, home: Home, isolation: Isolation, images: Images, events: Events, cgroups: Cgroups) -> None:
        self._folder = home.runtime
        self._isolation = isolation
        self._images = images
        self._events = events
        self._all: dict[str, Container] = {}
        self._cgroups = cgroups
        self._watch = memory.Watch(self._resident_bytes)

    def get(self, container_id: str) -> Container:
        try:
            return self._all[container_id]
        except KeyError:
            raise RuntimeServiceError("NotFound", f'container "{container_id}" not found') from None

    def running(self, container_id: str) -> tuple[Container, Supervised]:
        container = self.get(container_id)
        if container.supervised is None or container.state is not ContainerState.RUNNING:
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} is in {container.state} state")
        return container, container.supervised

    def list(self, machine: str | None = None, sandbox_id: str | None = None) -> list[Container]:
        return [
            each
            for each in self._all.values()
            if machine in (None, each.sandbox.config.machine) and sandbox_id in (None, each.sandbox.id)
        ]

    # -- life

    def create(self, sandbox: Sandbox, config: ContainerConfig) -> Container:
        if sandbox.state is not SandboxState.READY:
            raise RuntimeServiceError("FailedPrecondition", f'sandbox "{sandbox.id}" is not ready')
        if not config.argv:
            raise RuntimeServiceError("InvalidArgument", "no command specified: the image has none and argv is empty")
        try:
            capabilities.wanted(config.security.add_capabilities, config.security.drop_capabilities)
        except ValueError as error:
            raise RuntimeServiceError("InvalidArgument", str(error)) from None
        for mount in config.mounts:
            if mount.type != "tmpfs" and not os.path.lexists(mount.host_path):
                message = f"failed to mount {mount.host_path} at {mount.container_path}: no such file or directory"
                raise RuntimeServiceError("InvalidArgument", message)
        identifier = secrets.token_hex(32)
        container = Container(identifier, sandbox, config, self._folder / identifier)
        self._all[identifier] = container
        self._emit("CREATED", container)
        return container

    async def start(self, container_id: str) -> None:
        """Returns when the program is executing. Raises RuntimeServiceError, and the container has then EXITED.

        Beyond CRI, one that has ended may be started again, with its files as it left them: `docker start` does.
        """
        container = self.get(container_id)
        if container.state is ContainerState.RUNNING or container.starting.locked():
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} is in {container.state} state")
        async with container.starting:
            container.reset()
            try:
                self._started(container, await self._launch(container))
            except (StartError, OSError, LookupError) as error:
                container.start_failed(START_PREFIX + f"{error}: unknown")
                self._emit("STOPPED", container)
                raise RuntimeServiceError("Unknown", container.message) from None

    async def _launch(self, container: Container) -> Supervised:
        config = container.config
        layers = self._images.lower_dirs(config.image)
        reader = None
        if config.stdin and not config.tty:
            reader, container.stdin = os.pipe()
        try:
            target = self.running(config.target_id)[1] if config.target_id else None
            launch = self._isolation.container_launch(
                container.folder, config, container.sandbox, layers, reader, target
            )
            container.cgroup = self._cgroups.of(container.id)
            if container.cgroup:
                container.cgroup.make(config.resources)
            limits = {"log_max_bytes": config.log_max_bytes, "log_max_files": config.log_max_files}
            return await Supervised.start(dataclasses.replace(launch, cgroup=container.cgroup, **limits))
        except (StartError, OSError):
            self._drop_cgroup(container)
            raise
        finally:
            if reader is not None:
                os.close(reader)

    def _started(self, container: Container, supervised: Supervised) -> None:
        if container.config.tty:
            container.stdin = supervised.terminal
        container.started(supervised)
        self._emit("STARTED", container)
        self._sample_memory(container)
        supervised.exited.add_done_callback(lambda future: self._exited(container, future.result()))

    def _sample_memory(self, container: Container) -> None:
        """Only where no cgroup does it."""
        if container.config.resources.memory_limit and not self._cgroups.enforces("memory"):
            self._watch.add(container)

    def _drop_cgroup(self, container: Container) -> None:
        """Remove it; what is just dying in it may take a moment, and is waited for by a child."""
        cgroup, container.cgroup = container.cgroup, None
        if cgroup and not cgroup.remove():
            fork(cgroup.remove_soon)

    def _exited(self, container: Container, exit_: Exit) -> None:
        container.close_stdin()
        container.paused = False
        if container.cgroup and container.cgroup.oom_kills():
            container.out_of_memory = True
        container.exited(exit_)
        for supervised in container.execs:
            supervised.signal(signal.SIGKILL)
        if exit_.lost:
            self._isolation.monitor_lost(container.id)
        self._drop_cgroup(container)
        self._watch.discard(container)
        self._emit("STOPPED", container)

    async def stop(self, container_id: str, timeout: float) -> None:  # noqa: ASYNC109 (CRI's parameter)
        """The stop signal, then after `timeout` seconds SIGKILL. Returns when it has ended."""
        container = self.get(container_id)
        async with container.starting:  # one that is just being started is stopped when it runs
            supervised = container.supervised
        if supervised is None or container.exit is not None:
            return
        if timeout > 0:
            supervised.signal(self._stop_signal(container.config))
            self._thaw(container)
            await asyncio.wait([supervised.exited], timeout=timeout)
        supervised.signal(signal.SIGKILL)
        self._thaw(container)
        await asyncio.wait([supervised.exited])

    def _stop_signal(self, config: ContainerConfig) -> int:
        name = config.stop_signal or self._images.get_image(config.image).run_config.get("StopSignal") or "SIGTERM"
        return signal_number(name)

    def kill(self, container_id: str, signum: int) -> None:
        container, supervised = self.running(container_id)
        supervised.signal(signum)
        if signum != signal.SIGSTOP:
            self._thaw(container)  # as dockerd: what was sent is delivered

    # -- pausing, other limits

    def pause(self, container_id: str) -> None:
        """Freeze all of its processes: by the cgroup's freezer, else by SIGSTOP. Raises RuntimeServiceError."""
        container, _ = self.running(container_id)
        if container.paused:
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} is already paused")
        try:
            self._freeze(container, True)
        except OSError as error:
            raise RuntimeServiceError("Unknown", str(error)) from None
        container.paused = True

    def resume(self, container_id: str) -> None:
        container, _ = self.running(container_id)
        if not container.paused:
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} is not paused")
        self._thaw(container)

    def _thaw(self, container: Container) -> None:
        if container.paused and container.exit is None:
            container.paused = False
            self._freeze(container, False)

    def _freeze(self, container: Container, frozen: bool) -> None:
        if container.cgroup and container.cgroup.enforces("freezer"):
            container.cgroup.freeze(frozen)
            return
        done: set[int] = set()
        while rest := set(self._processes(container)) - done:  # again: a fork may have got away
            for pid in rest:
                proc.send(pid, signal.SIGSTOP if frozen else signal.SIGCONT)
            done |= rest

    def update_resources(self, container_id: str, resources: Resources) -> None:
        """CRI's UpdateContainerResources: other limits for a container that is made or runs."""
        container = self.get(container_id)
        if container.cgroup:
            try:
                container.cgroup.limit(resources)
            except OSError as error:
                raise RuntimeServiceError("Unknown", f"failed to update container resources: {error}") from None
        if resources.cpuset_cpus != container.config.resources.cpuset_cpus:
            self._pin(container, resources.cpuset_cpus)
        container.config = dataclasses.replace(container.config, resources=resources)
        self._watch.discard(container)
        if container.state is ContainerState.RUNNING:
            self._sample_memory(container)

    def _pin(self, container: Container, cpus: tuple[int, ...]) -> None:
        """Let what runs in it have these processors alone; () is all."""
        for pid in self._processes(container) if container.state is ContainerState.RUNNING else ():
            for thread in proc.threads(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread, cpus or range(os.cpu_count() or 1))

    def reopen_log(self, container_id: str) -> None:
        """CRI's ReopenContainerLog."""
        self.running(container_id)[1].reopen_log()

    async def kill_all(self, sandbox_id: str) -> None:
        await asyncio.gather(*(self.stop(each.id, 0) for each in self.list(sandbox_id=sandbox_id)))

    async def remove(self, container_id: str) -> None:
        """Kill it where it runs, and drop its files. An unknown container is no error, as in CRI."""
        if container_id not in self._all:
            return
        await self.stop(container_id, 0)
        container = self._all.pop(container_id, None)
        if container is None:
            return
        # In a child, because a large writable layer takes a while and the daemon has one thread.
        fork(lambda: shutil.rmtree(container.folder, ignore_errors=True))
        self._emit("DELETED", container)

    def _emit(self, type_: str, container: Container) -> None:
        self._events.emit(type_, container.id, container.sandbox.id, container.sandbox.config.machine)

    # -- looking at it

    def stats(self, container_id: str) -> ContainerStats:
        container, _ = self.running(container_id)
        if container.cgroup and container.cgroup.enforces("memory"):
            return _counted(container_id, container.cgroup)
        pids = self._processes(container)
        stats = [each for each in map(proc.stat, pids) if each is not None]
        cpu = sum(each.cpu_ticks for each in stats) * 1_000_000_000 // proc.TICK
        resident = sum(map(proc.resident_bytes, pids))
        limit = container.config.resources.memory_limit
        return ContainerStats(container_id, resident, cpu, len(stats), resident, limit, cpu_user=cpu)

    def processes(self, container_id: str) -> list[dict[str, Any]]:
        pids = self._processes(self.running(container_id)[0])
        return [each for each in map(proc.describe, pids) if each is not None]

    def _processes(self, container: Container) -> list[int]:
        if container.supervised is None or container.exit is not None:
            return []
        pids = self._isolation.processes(container.supervised, container.sandbox)
        for each in container.execs:
            pids += [pid for pid in proc.tree(each.pid) if pid not in pids]
        return pids

    def _resident_bytes(self, container: Container) -> int:
        return sum(map(proc.resident_bytes, self._processes(container)))

    # -- its terminal and stdin

    def attach_stdin(self, container_id: str) -> int:
        """A descriptor that writes to its stdin, ours to close. With `stdin_once` the first one is the only one."""
        container, _ = self.running(container_id)
        if container.stdin < 0:
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} has no open stdin")
        descriptor = os.dup(container.stdin)
        if container.config.stdin_once and not container.config.tty:
            container.close_stdin()
        return descriptor

    def resize_tty(self, container_id: str, rows: int, columns: int) -> None:
        container, _ = self.running(container_id)
        if not container.config.tty:
            raise RuntimeServiceError("FailedPrecondition", f"container {container_id} has no terminal")
        descriptors.resize(container.stdin, rows, columns)

    # -- exec

    async def exec(self, container_id: str, request: dict[str, Any], stdio: Stdio) -> Supervised:
        """Start a further process in it. `request`: argv, env, user, working_dir, tty. Raises RuntimeServiceError."""
        container, first = self.running(container_id)
        config = container.config
        program = Process(
            argv=tuple(request["argv"]),
            env=(*config.env, *((name, value) for name, value in request["env"])),
            working_dir=request["working_dir"] or config.working_dir,
            user=request["user"] or config.user,
            hostname=container.sandbox.hostname,
            tty=request["tty"],
            security=config.security,
            ulimits=config.ulimits,
            oom_score_adj=config.oom_score_adj,
            cpus=config.resources.cpuset_cpus,
        )
        if not program.argv:
            raise RuntimeServiceError("InvalidArgument", "no command to execute: argv is empty")
        try:
            launch = self._isolation.exec_launch(container.folder, first, container.sandbox, program, stdio)
            supervised = await Supervised.start(dataclasses.replace(launch, cgroup=container.cgroup))
        except (StartError, OSError) as error:
            raise RuntimeServiceError("Unknown", EXEC_PREFIX + f"{error}: unknown") from None
        container.execs.add(supervised)
        supervised.exited.add_done_callback(lambda _: container.execs.discard(supervised))
        return supervised


def _counted(container_id: str, cgroup: Cgroup) -> ContainerStats:
    used = cgroup.usage()
    return ContainerStats(
        container_id, used.working_set, used.cpu, used.pids, used.memory, used.memory_limit, used.memory_stat,
        used.cpu_user, used.cpu_system, used.throttling, cgroup.version,
    )  # fmt: skip


def signal_number(name: str) -> int:
    """Of "SIGTERM", "TERM" or "15". Raises RuntimeServiceError."""
    if name.isdecimal():
        return int(name)
    try:
        return signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
    except KeyError:
        raise RuntimeServiceError("InvalidArgument", f"invalid signal: {name}") from None
