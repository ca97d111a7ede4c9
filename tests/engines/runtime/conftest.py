"""A runtime daemon for each level that works here, and a laboratory around its client."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from kubelab.home import Home
from kubelab.images.base import ensure_base_image
from kubelab.images.store import ImageStore
from kubelab.runtime import logs
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    Level,
    MachineConfig,
    PodSandboxConfig,
)
from kubelab.runtime.client import RuntimeClient
from kubelab.runtime.levels import explain, try_namespaces

Found = TypeVar("Found")
DEADLINE = 20  # seconds; a wait that needs nearly as long has failed
MACHINES = {
    Level.NAMESPACES: (
        MachineConfig("node-1", "172.31.0.11/24", "10.244.1.0/24"),
        MachineConfig("node-2", "172.31.0.12/24", "10.244.2.0/24"),
    ),
    Level.PROCESS: (
        MachineConfig("node-1", "127.213.0.11/8", "127.213.17.0/24"),
        MachineConfig("node-2", "127.213.0.12/8", "127.213.18.0/24"),
    ),
}


@dataclass
class Daemon:
    home: Home
    level: Level
    image: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, level: Level, home: Home, image: str) -> Daemon:
        reader, writer = os.pipe()
        env = os.environ | {"KUBELAB_HOME": str(home.path), "KUBELAB_RUNTIME": level, "KUBELAB_READY_FD": str(writer)}
        env["KUBELAB_PARENT"] = str(os.getpid())  # it ends with the tests, however they end
        process = subprocess.Popen([sys.executable, "-m", "kubelab.runtime"], env=env, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader) as ready:
            assert ready.read(), "the daemon ended before it was ready"
        return cls(home, level, image, process)

    def stop(self, signum: int = signal.SIGTERM) -> None:
        self.process.send_signal(signum)
        self.process.wait(DEADLINE)


@pytest.fixture(scope="session")
def images() -> Iterator[tuple[Path, str]]:
    """The folder of an image store with the base image, and that image's ID."""
    folder = Path(tempfile.mkdtemp(prefix="kl-images-"))
    yield folder, ensure_base_image(ImageStore(folder)).id
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=list(Level), scope="session")
def level(request: pytest.FixtureRequest) -> Level:
    if request.param is Level.NAMESPACES:
        with tempfile.TemporaryDirectory(prefix="kl-try-") as folder:
            attempt = try_namespaces(Path(folder))
        if not attempt.works:
            pytest.skip(explain(attempt))
    return request.param


@pytest.fixture
def start_daemon(level: Level, images: tuple[Path, str]) -> Iterator[Callable[[], Daemon]]:
    """Starts daemons that a test may kill, each in a home of its own (short: a socket's path has 108 bytes at most)."""
    daemons: list[Daemon] = []

    def start() -> Daemon:
        daemons.append(Daemon.start(level, make_home(images[0]), images[1]))
        return daemons[-1]

    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.stop()
        shutil.rmtree(daemon.home.path, ignore_errors=True)


def make_home(images: Path) -> Home:
    home = Home(Path(tempfile.mkdtemp(prefix="kl-")))
    (home.path / "images").symlink_to(images)
    return home.ensure()


@pytest.fixture(scope="session")
def daemon(level: Level, images: tuple[Path, str]) -> Iterator[Daemon]:
    """One daemon a level for all tests that leave it as it was."""
    started = Daemon.start(level, make_home(images[0]), images[1])
    yield started
    started.stop()
    shutil.rmtree(started.home.path, ignore_errors=True)


@pytest_asyncio.fixture
async def lab(daemon: Daemon) -> AsyncIterator[Lab]:
    async with RuntimeClient(daemon.home.runtime_socket) as client:
        laboratory = Lab(daemon, client)
        await laboratory.set_up()
        yield laboratory
        for machine in laboratory.machines:
            await client.remove_machine(machine.name)


class Lab:
    """Pods and containers in few words."""

    def __init__(self, daemon: Daemon, client: RuntimeClient) -> None:
        self.level, self.image, self.client = daemon.level, daemon.image, client
        self.machines = MACHINES[daemon.level]
        self.logs = daemon.home.log

    async def set_up(self) -> None:
        for machine in self.machines:
            await self.client.ensure_machine(machine)

    async def pod(self, name: str = "pod", machine: str = "node-1", **fields: object) -> str:
        return await self.client.run_pod_sandbox(PodSandboxConfig(name, "default", f"uid-{name}", machine, **fields))

    async def ip(self, pod: str) -> str:
        return (await self.client.pod_sandbox_status(pod)).ip

    def config(self, *argv: str, **fields: object) -> ContainerConfig:
        return replace(ContainerConfig("c", self.image, argv), **fields)

    async def create(self, pod: str, *argv: str, **fields: object) -> str:
        log = self.logs / f"{pod[:12]}-{time.monotonic_ns()}.log"
        return await self.client.create_container(pod, self.config(*argv, log_path=str(log), **fields))

    async def start(self, pod: str, *argv: str, **fields: object) -> str:
        container = await self.create(pod, *argv, **fields)
        await self.client.start_container(container)
        return container

    async def python(self, pod: str, program: str, **fields: object) -> str:
        return await self.start(pod, "python3", "-uc", program, **fields)

    async def ended(self, container: str) -> ContainerStatus:
        async def status() -> ContainerStatus | None:
            found = await self.client.container_status(container)
            return found if found.state is ContainerState.EXITED else None

        return await eventually(status)

    async def output(self, container: str, stream: str | None = None) -> bytes:
        path = (await self.client.container_status(container)).config.log_path
        with contextlib.suppress(FileNotFoundError):
            return b"".join([entry.data async for entry in logs.read(path) if stream in (None, entry.stream)])
        return b""

    async def says(self, container: str, text: bytes) -> bytes:
        """Wait until the container's output holds `text`; returns all of it."""

        async def look() -> bytes | None:
            found = await self.output(container)
            return found if text in found else None

        return await eventually(look)

    async def run(self, pod: str, *argv: str, **fields: object) -> tuple[int, bytes]:
        container = await self.start(pod, *argv, **fields)
        status = await self.ended(container)
        return status.exit_code, await self.output(container)


async def eventually(look: Callable[[], Awaitable[Found | None]]) -> Found:
    """What `look` finds, as soon as it finds something."""
    async with asyncio.timeout(DEADLINE):
        while (found := await look()) is None:  # noqa: ASYNC110 (what is looked at lives in other processes)
            await asyncio.sleep(0.01)
    return found
