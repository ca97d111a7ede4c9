"""What an isolation level does for the service: the interface that `namespaces` and `processes` implement."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Protocol

from kubelab.runtime.addresses import Addresses
from kubelab.runtime.api import ContainerConfig, Endpoint, Level, MachineConfig, NetworkConfig
from kubelab.runtime.monitor import Launch
from kubelab.runtime.process import Process
from kubelab.runtime.sandbox import Sandbox
from kubelab.runtime.supervised import Supervised

Stdio = tuple[int | None, int | None, int | None]  # descriptors of stdin, stdout, stderr; None as in Launch


class Isolation(Protocol):
    level: Level
    uid_map: str  # "inside outside count" where there is a user namespace, else ""

    async def start(self) -> None: ...
    def limits(self) -> dict[str, str]:
        """What differs from a container on a real node, by topic."""

    # -- machines
    def machine_configs(self) -> dict[str, MachineConfig]: ...
    async def add_machine(self, config: MachineConfig) -> None: ...
    async def remove_machine(self, name: str) -> None: ...
    async def add_address(self, machine: str, address: str) -> None: ...
    async def remove_address(self, machine: str, address: str) -> None: ...
    async def set_link(self, machine: str, up: bool) -> None: ...
    def machine_socket(self, machine: str, family: int, kind: int) -> tuple[socket.socket, Addresses]: ...

    async def ensure_network(self, config: NetworkConfig) -> None:
        """A further network of a machine."""

    async def remove_network(self, machine: str, network_id: str) -> None: ...
    async def connect(self, sandbox: Sandbox, network_id: str, address: str, mac: str = "") -> Endpoint: ...
    async def disconnect(self, sandbox: Sandbox, endpoint: Endpoint) -> None: ...
    def pod_endpoint(self, sandbox: Sandbox) -> Endpoint:
        """The place on the pods' network that `start_sandbox` has given it."""

    def give_back_endpoint(self, machine: str, endpoint: Endpoint) -> None: ...

    # -- sandboxes
    def take_address(self, machine: str) -> str: ...
    def give_back_address(self, machine: str, address: str) -> None: ...
    async def start_sandbox(self, sandbox: Sandbox) -> None:
        """Make its namespaces and set its pid. Raises RuntimeServiceError."""

    def stop_sandbox(self, sandbox: Sandbox) -> None: ...
    def sandbox_socket(self, sandbox: Sandbox, family: int, kind: int) -> tuple[socket.socket, Addresses]: ...

    # -- containers
    def container_launch(
        self,
        folder: Path,
        config: ContainerConfig,
        sandbox: Sandbox,
        layers: list[Path],
        stdin: int | None,
        target: Supervised | None = None,
    ) -> Launch:
        """`target`: the container whose PID namespace it joins; at the level process all see the host's anyway."""

    def exec_launch(
        self, folder: Path, container: Supervised, sandbox: Sandbox, program: Process, stdio: Stdio
    ) -> Launch: ...
    def processes(self, container: Supervised, sandbox: Sandbox) -> list[int]:
        """Host PIDs of all that runs in the container."""

    def monitor_lost(self, container_id: str) -> None:
        """Its monitor was killed: end what is left of the container, now and as it falls to the daemon."""

    def child_ended(self) -> None:
        """The daemon has reaped a child, and may have been given the children of that one."""
