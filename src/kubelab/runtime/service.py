"""The runtime service: its RPCs by name, over machines and sandboxes on one side and containers on the other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from kubelab.home import Home
from kubelab.runtime import wire
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.cgroups import Cgroups
from kubelab.runtime.containers import Containers, Images
from kubelab.runtime.events import Events
from kubelab.runtime.isolation import Isolation
from kubelab.runtime.sandboxes import Sandboxes

Parameters = dict[str, Any]


class RuntimeService:
    """CRI's RuntimeService over the two halves. `call` answers one RPC; exec and events are in `daemon`, because they
    keep their connection."""

    def __init__(self, home: Home, isolation: Isolation, images: Images, tried: list[dict[str, Any]]) -> None:
        self.events = Events()
        self.cgroups = Cgroups()
        self.cgroups.start()
        self.containers = Containers(home, isolation, images, self.events, self.cgroups)
        self.sandboxes = Sandboxes(home, isolation, self.containers, self.events)
        self._isolation = isolation
        self._tried = tried

    def version(self) -> dict[str, Any]:
        return {
            "level": self._isolation.level,
            "tried": self._tried,
            "uid_map": self._isolation.uid_map,
            "limits": self._isolation.limits() | self._unenforced(),
            "cgroup": self.cgroups.version,
            "enforced": [name for name in ("memory", "cpu", "pids", "freezer") if self.cgroups.enforces(name)],
            "pid": os.getpid(),
        }

    def _unenforced(self) -> dict[str, str]:
        """What is missing because no cgroup can be written, by topic."""
        missing = {
            "memory": "a limit is enforced by sampling resident memory about ten times a second, not by a cgroup",
            "cpu": "CPU limits are not enforced",
            "pids": "limits on the number of processes are not enforced",
            "freezer": "a container is paused by SIGSTOP to its processes, which their parents may notice",
        }
        return {name: text for name, text in missing.items() if not self.cgroups.enforces(name)}

    async def call(self, method: str, given: Parameters) -> Any:
        """The result in JSON's types. Raises RuntimeServiceError."""
        if method not in _METHODS:
            raise RuntimeServiceError("Unimplemented", f"unknown method {method}")
        result = _METHODS[method](self, given)
        return await result if isinstance(result, Awaitable) else result

    def child_ended(self, pid: int) -> None:
        self.sandboxes.process_died(pid)
        self._isolation.child_ended()

    async def stop_everything(self) -> None:
        await asyncio.gather(*(self.sandboxes.remove(sandbox.id) for sandbox in self.sandboxes.list()))
        self.cgroups.stop()

    async def _run_pod_sandbox(self, given: Parameters) -> str:
        return (await self.sandboxes.run(wire.sandbox_config(given["config"]))).id

    async def _connect_sandbox(self, given: Parameters) -> Any:
        return wire.to_wire(await self.sandboxes.connect(given["id"], given["network"], given["address"], given["mac"]))

    async def _create_container(self, given: Parameters) -> str:
        config = wire.container_config(given["config"])
        return self.containers.create(self.sandboxes.get(given["sandbox_id"]), config).id

    def _list_sandboxes(self, given: Parameters) -> list[Any]:
        return [wire.to_wire(each.status()) for each in self.sandboxes.list(given["machine"])]

    def _list_containers(self, given: Parameters) -> list[Any]:
        found = self.containers.list(given["machine"], given["sandbox_id"])
        return [wire.to_wire(each.status()) for each in found]


_METHODS: dict[str, Callable[[RuntimeService, Parameters], Any]] = {
    "version": lambda self, _: self.version(),
    "ensure_machine": lambda self, given: self.sandboxes.ensure_machine(wire.machine_config(given["config"])),
    "remove_machine": lambda self, given: self.sandboxes.remove_machine(given["name"]),
    "add_address": lambda self, given: self.sandboxes.add_address(given["machine"], given["ip"]),
    "remove_address": lambda self, given: self.sandboxes.remove_address(given["machine"], given["ip"]),
    "ensure_network": lambda self, given: self.sandboxes.ensure_network(wire.network_config(given["config"])),
    "remove_network": lambda self, given: self.sandboxes.remove_network(given["machine"], given["id"]),
    "connect_sandbox": RuntimeService._connect_sandbox,
    "disconnect_sandbox": lambda self, given: self.sandboxes.disconnect(given["id"], given["network"]),
    "update_pod_sandbox": lambda self, given: self.sandboxes.update(
        given["id"], wire.dns_config(given["dns"]), given["host_aliases"]
    ),
    "run_pod_sandbox": RuntimeService._run_pod_sandbox,
    "stop_pod_sandbox": lambda self, given: self.sandboxes.stop(given["id"]),
    "remove_pod_sandbox": lambda self, given: self.sandboxes.remove(given["id"]),
    "pod_sandbox_status": lambda self, given: wire.to_wire(self.sandboxes.get(given["id"]).status()),
    "list_pod_sandbox": RuntimeService._list_sandboxes,
    "create_container": RuntimeService._create_container,
    "start_container": lambda self, given: self.containers.start(given["id"]),
    "stop_container": lambda self, given: self.containers.stop(given["id"], given["timeout"]),
    "kill_container": lambda self, given: self.containers.kill(given["id"], given["signum"]),
    "reopen_container_log": lambda self, given: self.containers.reopen_log(given["id"]),
    "set_link": lambda self, given: self.sandboxes.set_link(given["machine"], given["up"]),
    "remove_container": lambda self, given: self.containers.remove(given["id"]),
    "pause_container": lambda self, given: self.containers.pause(given["id"]),
    "resume_container": lambda self, given: self.containers.resume(given["id"]),
    "update_container_resources": lambda self, given: self.containers.update_resources(
        given["id"], wire.resources(given["resources"])
    ),
    "container_status": lambda self, given: wire.to_wire(self.containers.get(given["id"]).status()),
    "list_containers": RuntimeService._list_containers,
    "container_stats": lambda self, given: wire.to_wire(self.containers.stats(given["id"])),
    "processes": lambda self, given: self.containers.processes(given["id"]),
    "resize_container_tty": lambda self, given: self.containers.resize_tty(
        given["id"], given["rows"], given["columns"]
    ),
}
