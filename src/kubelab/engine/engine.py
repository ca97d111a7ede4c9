"""What every route of the engine stands on: the image store, the runtime, the engine's machine, the event log."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab.clock import Clock, RealClock
from kubelab.engine.containers_mounts import Folders
from kubelab.engine.containers_run import LABEL, Runner
from kubelab.engine.containers_store import Containers
from kubelab.engine.errors import DockerError
from kubelab.engine.events import EventLog
from kubelab.engine.networks import Networks
from kubelab.engine.networks_wiring import Wiring
from kubelab.engine.volumes import Volumes
from kubelab.home import Home
from kubelab.images.base import ensure_base_image
from kubelab.images.store import ImageStore
from kubelab.runtime.api import MachineConfig
from kubelab.runtime.client import RuntimeClient

MACHINE = "docker"  # the engine's machine in the runtime


@dataclass(frozen=True)
class Settings:
    """`config/engine.json` (written by kubelab.settings)."""

    address: str = "172.31.0.2/24"  # in the lab's LAN
    bridge: str = "172.17.0.0/16"  # the network of the containers
    host_address: str = "127.0.0.1"  # where published ports are served on the host's loopback
    registry_port: int | None = None  # of the lab's own registry on the loopback; None: it is not served
    bind_folders: tuple[str, ...] = ()  # further folders that may be bound, besides home, TMPDIR and the course's

    @property
    def address_network(self) -> str:
        return str(ipaddress.ip_interface(self.address).network)

    @classmethod
    def read(cls, home: Home) -> Settings:
        try:
            found = json.loads(home.component_config("engine").read_bytes())
        except FileNotFoundError:
            return cls()
        known = {
            "address": "address",
            "bridge": "bridge",
            "hostAddress": "host_address",
            "registryPort": "registry_port",
        }
        folders = {"bind_folders": tuple(found.get("bindFolders") or ())}
        return cls(**{name: found[key] for key, name in known.items() if key in found} | folders)


class Engine:
    """One running engine. Routes get it when they are made: `def routes(engine: Engine) -> list[web.RouteDef]`."""

    def __init__(self, home: Home, store: ImageStore, runtime: RuntimeClient, settings: Settings) -> None:
        self.home, self.store, self.runtime, self.settings = home, store, runtime, settings
        self.machine = MachineConfig(MACHINE, settings.address, settings.bridge)
        self.events = EventLog()
        # Who else uses images: each is given an image ID and names the containers made from it, and whether they run.
        self.image_users: list[Callable[[str], Iterable[tuple[str, bool]]]] = []
        self.clock: Clock = RealClock()
        self.folders = bindable(home, settings)
        self.volumes = Volumes(home.engine / "volumes", self.events)
        self.networks = Networks(
            home.engine / "networks.json", self.events, (settings.address_network, settings.bridge)
        )
        self.wiring = Wiring(self)
        self.runner = Runner(self)
        self.containers = Containers(self)
        self.volumes.users = self.containers.using_volume
        self.networks.members = self.containers.on_network
        self._base: asyncio.Task[Any] | None = None

    async def start(self) -> None:
        """Join the lab's network, and see to the base image meanwhile."""
        self._base = asyncio.create_task(asyncio.to_thread(self._prepare_store))
        self.volumes.load()
        self.networks.load(self.settings.bridge)
        await self.runtime.ensure_machine(self.machine)
        await self.containers.start()

    async def stop(self) -> None:
        """Let go; the containers run on, and the next engine takes them back."""
        await self.containers.stop()

    def _prepare_store(self) -> None:
        self.store.sweep()
        ensure_base_image(self.store)

    async def base_image(self) -> None:
        """Wait until kubelab/python is there. Raises DockerError where it could not be made."""
        if self._base is None:
            return
        try:
            await asyncio.shield(self._base)
        except OSError as error:
            raise DockerError(500, f"the base image kubelab/python could not be made: {error}") from error

    async def containers_of(self, image_id: str) -> list[tuple[str, bool]]:
        """The containers made from an image, ours and the cluster's: (ID, whether it runs)."""
        users = {id: running for users in self.image_users for id, running in users(image_id)}
        for status in await self.runtime.list_containers():
            if status.config.image == image_id and LABEL not in status.config.labels:
                users[status.id] = users.get(status.id, False) or status.state == "CONTAINER_RUNNING"
        return list(users.items())


def bindable(home: Home, settings: Settings) -> Folders:
    """The student's home, TMPDIR, the folder that the lab was started in, and what the settings name; never the lab's
    own $KUBELAB_HOME."""
    allowed = [Path.home(), Path(tempfile.gettempdir()), Path.cwd(), *map(Path, settings.bind_folders)]
    real = [folder.resolve() for folder in allowed]
    return Folders(tuple(dict.fromkeys(each for each in real if each != Path("/"))), (home.path.resolve(),))
