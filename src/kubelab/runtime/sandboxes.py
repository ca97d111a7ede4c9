"""Machines and pod sandboxes: the first half of the runtime service (CRI: RunPodSandbox, StopPodSandbox, …)."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import socket

from kubelab.home import Home
from kubelab.runtime.addresses import Addresses
from kubelab.runtime.api import (
    DNSConfig,
    Endpoint,
    MachineConfig,
    NetworkConfig,
    PodSandboxConfig,
    RuntimeServiceError,
    SandboxState,
)
from kubelab.runtime.containers import Containers
from kubelab.runtime.events import Events
from kubelab.runtime.isolation import Isolation
from kubelab.runtime.sandbox import Sandbox


class Sandboxes:
    def __init__(self, home: Home, isolation: Isolation, containers: Containers, events: Events) -> None:
        self._folder = home.runtime
        self._isolation = isolation
        self._containers = containers
        self._events = events
        self._all: dict[str, Sandbox] = {}
        self._one_at_a_time = asyncio.Lock()  # for changes of machines
        self._tasks: set[asyncio.Task[None]] = set()  # held, because the loop itself does not hold them

    # -- machines

    async def ensure_machine(self, config: MachineConfig) -> None:
        async with self._one_at_a_time:
            existing = self._isolation.machine_configs().get(config.name)
            if existing is None:
                await self._isolation.add_machine(config)
            elif existing != config:
                raise RuntimeServiceError(
                    "FailedPrecondition", f'machine "{config.name}" exists as {existing}; remove it first to change it'
                )

    async def remove_machine(self, name: str) -> None:
        """As if its power failed: whatever runs on it is killed. A machine that is not there is no error."""
        async with self._one_at_a_time:
            if name in self._isolation.machine_configs():
                await asyncio.gather(*(self.remove(sandbox.id) for sandbox in self.list(name)))
                await self._isolation.remove_machine(name)

    def _machine(self, name: str) -> MachineConfig:
        try:
            return self._isolation.machine_configs()[name]
        except KeyError:
            raise RuntimeServiceError("NotFound", f'machine "{name}" not found: call ensure_machine first') from None

    async def add_address(self, machine: str, address: str) -> None:
        await self._isolation.add_address(self._machine(machine).name, address)

    async def remove_address(self, machine: str, address: str) -> None:
        await self._isolation.remove_address(self._machine(machine).name, address)

    async def set_link(self, machine: str, up: bool) -> None:
        await self._isolation.set_link(self._machine(machine).name, up)

    # -- sandboxes

    def get(self, sandbox_id: str) -> Sandbox:
        try:
            return self._all[sandbox_id]
        except KeyError:
            raise RuntimeServiceError("NotFound", f'sandbox "{sandbox_id}" not found') from None

    def list(self, machine: str | None = None) -> list[Sandbox]:
        return [sandbox for sandbox in self._all.values() if machine in (None, sandbox.config.machine)]

    async def run(self, config: PodSandboxConfig) -> Sandbox:
        machine = self._machine(config.machine)
        identifier = secrets.token_hex(32)
        sandbox = Sandbox(identifier, config, self._folder / identifier)
        kind, _, other = config.network.partition(":")
        if kind == "container":
            sandbox.shares = self.get(other)
            if sandbox.shares.state is not SandboxState.READY:
                raise RuntimeServiceError("FailedPrecondition", f'sandbox "{other}" is not ready')
        if kind == "pod":
            sandbox.ip = self._isolation.take_address(config.machine)
        elif kind == "node":
            sandbox.ip = machine.address.partition("/")[0]
        elif sandbox.shares:
            sandbox.ip = sandbox.shares.ip
        try:
            sandbox.write_etc()
            await self._isolation.start_sandbox(sandbox)
        except BaseException:
            if kind == "pod":
                self._isolation.give_back_address(config.machine, sandbox.ip)
            sandbox.remove_files()
            raise
        if kind == "pod":
            sandbox.endpoints[""] = self._isolation.pod_endpoint(sandbox)
        sandbox.state = SandboxState.READY
        self._all[identifier] = sandbox
        self._emit("STARTED", sandbox)
        return sandbox

    async def stop(self, sandbox_id: str) -> None:
        """Kill its containers and give up its network. A sandbox that is stopped or unknown is no error, as in CRI."""
        sandbox = self._all.get(sandbox_id)
        if sandbox is None:
            return
        await self._containers.kill_all(sandbox_id)
        if sandbox.state is SandboxState.READY:
            self._isolation.stop_sandbox(sandbox)
            self._not_ready(sandbox)

    async def remove(self, sandbox_id: str) -> None:
        """Stop it where it runs, remove its containers and forget it."""
        await self.stop(sandbox_id)
        sandbox = self._all.get(sandbox_id)
        if sandbox is None:
            return
        for container in self._containers.list(sandbox_id=sandbox_id):
            await self._containers.remove(container.id)
        sandbox.remove_files()
        del self._all[sandbox_id]
        self._emit("DELETED", sandbox)

    def process_died(self, pid: int) -> None:
        """A pause process that somebody killed takes its sandbox down."""
        for sandbox in self._all.values():
            if sandbox.pid == pid and sandbox.state is SandboxState.READY:
                self._not_ready(sandbox)
                task = asyncio.get_running_loop().create_task(self._containers.kill_all(sandbox.id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    def _not_ready(self, sandbox: Sandbox) -> None:
        sandbox.state, sandbox.pid = SandboxState.NOTREADY, 0
        self._give_back(sandbox)
        self._emit("STOPPED", sandbox)

    def _give_back(self, sandbox: Sandbox) -> None:
        machine = sandbox.config.machine
        for endpoint in sandbox.endpoints.values():
            self._isolation.give_back_endpoint(machine, endpoint)
        sandbox.endpoints.clear()

    # -- further networks

    async def ensure_network(self, config: NetworkConfig) -> None:
        self._machine(config.machine)
        async with self._one_at_a_time:
            await self._isolation.ensure_network(config)

    async def remove_network(self, machine: str, network_id: str) -> None:
        """One that is not there is no error."""
        self._machine(machine)
        async with self._one_at_a_time:
            await self._isolation.remove_network(machine, network_id)

    async def connect(self, sandbox_id: str, network_id: str, address: str, mac: str = "") -> Endpoint:
        """Put a sandbox into a further network. Twice changes nothing. Raises RuntimeServiceError."""
        sandbox = self.get(sandbox_id)
        async with self._one_at_a_time:
            if sandbox.state is not SandboxState.READY:
                raise RuntimeServiceError("FailedPrecondition", f'sandbox "{sandbox_id}" is not ready')
            if network_id not in sandbox.endpoints:
                sandbox.endpoints[network_id] = await self._isolation.connect(sandbox, network_id, address, mac)
                sandbox.ip = sandbox.ip or sandbox.endpoints[network_id].ip
                sandbox.write_etc()
            return sandbox.endpoints[network_id]

    async def disconnect(self, sandbox_id: str, network_id: str) -> None:
        sandbox = self.get(sandbox_id)
        async with self._one_at_a_time:
            endpoint = sandbox.endpoints.get(network_id)
            if endpoint is not None:
                await self._isolation.disconnect(sandbox, endpoint)
                del sandbox.endpoints[network_id]
                if sandbox.ip == endpoint.ip:
                    sandbox.ip = next((each.ip for each in sandbox.endpoints.values()), "")
                sandbox.write_etc()

    def update(self, sandbox_id: str, dns: DNSConfig, host_aliases: dict[str, str]) -> None:
        """Other name servers and host names, seen by running containers, too."""
        sandbox = self.get(sandbox_id)
        sandbox.config = dataclasses.replace(sandbox.config, dns=dns, host_aliases=host_aliases)
        sandbox.write_etc()

    def _emit(self, type_: str, sandbox: Sandbox) -> None:
        self._events.emit(type_, sandbox.id, sandbox.id, sandbox.config.machine)

    def open_socket(self, where: str, family: int, kind: int) -> tuple[socket.socket, Addresses]:
        """In a machine (by name) or a sandbox (by ID)."""
        if where in self._isolation.machine_configs():
            return self._isolation.machine_socket(where, family, kind)
        sandbox = self.get(where)
        if sandbox.state is not SandboxState.READY:
            raise RuntimeServiceError("FailedPrecondition", f'sandbox "{where}" is not ready')
        return self._isolation.sandbox_socket(sandbox, family, kind)
