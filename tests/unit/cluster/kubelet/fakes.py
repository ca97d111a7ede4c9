"""An API server and a runtime in memory, as much of both as a kubelet sees. For tests only."""

from __future__ import annotations

import asyncio
import copy
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from kubelab.clock import VirtualClock
from kubelab.cluster.client import AlreadyExists, Conflict, NotFound
from kubelab.cluster.kubelet.image_puller import PullError
from kubelab.cluster.resources import EVENTS, PODS, Resource
from kubelab.images.reference import Reference
from kubelab.images.store import Image, ImageNotFound, ImageStore
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerEvent,
    ContainerState,
    ContainerStatus,
    ExecResult,
    MachineConfig,
    PodSandboxConfig,
    PodSandboxStatus,
    RuntimeServiceError,
    SandboxState,
)

Object = dict[str, Any]
MERGE_KEYS = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip", "addresses": "type"}


ORDER = "$setElementOrder/"


def strategic(old: Any, patch: Any, field: str = "") -> Any:
    """A strategic merge patch, as far as a kubelet's statuses need it."""
    if isinstance(patch, dict):
        merged = dict(old) if isinstance(old, dict) else {}
        for key, value in patch.items():
            if value is None:
                merged.pop(key, None)
            elif not key.startswith(ORDER):
                merged[key] = strategic(merged.get(key), value, key)
        for key in (key.removeprefix(ORDER) for key in patch if key.startswith(ORDER)):
            place = [element[MERGE_KEYS[key]] for element in patch[ORDER + key]]
            merged[key].sort(key=lambda element, key=key, place=place: place.index(element[MERGE_KEYS[key]]))
        return merged
    if isinstance(patch, list) and field in MERGE_KEYS:
        key = MERGE_KEYS[field]
        elements = {element[key]: element for element in old or []}
        for element in patch:
            if element.get("$patch") == "delete":
                elements.pop(element[key], None)
            else:
                elements[element[key]] = strategic(elements.get(element[key]), element)
        return list(elements.values())
    return copy.deepcopy(patch)


class FakeAPI:
    """Objects by (plural, namespace, name); `statuses` is every status that was written, in order."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.statuses: list[Object] = []
        self._versions = itertools.count(1)
        self._watches: list[tuple[str, asyncio.Queue[tuple[str, Object]]]] = []

    def put(self, resource: Resource, obj: Object) -> Object:
        key = (resource.plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        event = "MODIFIED" if key in self.objects else "ADDED"
        obj = copy.deepcopy(obj)
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        obj["metadata"].setdefault("uid", f"uid-of-{key[2]}")
        self.objects[key] = obj
        self._tell(resource, event, obj)
        return copy.deepcopy(obj)

    def _tell(self, resource: Resource, event: str, obj: Object) -> None:
        for plural, queue in self._watches:
            if plural == resource.plural:
                queue.put_nowait((event, copy.deepcopy(obj)))

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        obj = self.objects.pop((resource.plural, namespace, name))
        obj["metadata"]["resourceVersion"] = str(next(self._versions))
        self._tell(resource, "DELETED", obj)

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self.objects.get((resource.plural, namespace, name))

    def events(self, reason: str = "") -> list[Object]:
        found = [obj for (plural, _, _), obj in self.objects.items() if plural == "events"]
        return [e for e in found if not reason or e["reason"] == reason]

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        obj = self.find(resource, namespace or "", name)
        if obj is None:
            raise NotFound({"message": f'{resource.plural} "{name}" not found', "reason": "NotFound", "code": 404})
        return copy.deepcopy(obj)

    async def list(self, resource: Resource, namespace: str | None = None, **_: str) -> Object:
        items = [copy.deepcopy(o) for (plural, _, _), o in self.objects.items() if plural == resource.plural]
        return {"items": items, "metadata": {"resourceVersion": str(next(self._versions))}}

    async def watch(self, resource: Resource, namespace: str | None = None, **_: Any) -> AsyncIterator[Any]:
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()
        self._watches.append((resource.plural, queue))
        while True:
            yield await queue.get()

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        while resource is EVENTS and self.find(resource, obj["metadata"]["namespace"], obj["metadata"]["name"]):
            obj["metadata"]["name"] += "0"  # names come from the clock, and this one stands still
        if self.find(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]):
            raise AlreadyExists({"reason": "AlreadyExists", "code": 409})
        return self.put(resource, obj)

    async def update(self, resource: Resource, obj: Object) -> Object:
        await self.get(resource, obj["metadata"]["name"], obj["metadata"].get("namespace"))
        return self.put(resource, obj)

    async def patch(
        self, resource: Resource, name: str, patch: Object, namespace: str | None = None, **_: str
    ) -> Object:
        obj = await self.get(resource, name, namespace)
        uid = patch.get("metadata", {}).get("uid")
        if uid not in (None, obj["metadata"]["uid"]):
            raise Conflict({"reason": "Conflict", "code": 409, "message": "uid"})
        merged = self.put(resource, strategic(obj, patch))
        if resource is PODS:
            self.statuses.append(merged["status"])
        return merged

    async def delete(self, resource: Resource, name: str, namespace: str | None = None, **options: Any) -> None:
        obj = await self.get(resource, name, namespace)
        if options.get("uid") not in (None, obj["metadata"]["uid"]):
            raise Conflict({"reason": "Conflict", "code": 409, "message": "uid"})
        self.remove(resource, namespace or "", name)


class FakePuller:
    """Finds in its registry what the image store holds by then."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    async def pull(self, reference: Reference, _: object) -> Image:
        try:
            return self._store.resolve(str(reference))
        except ImageNotFound as error:
            raise PullError(f"{reference}: not found") from error


class FakeRuntime:
    """Sandboxes and containers in memory; `exit` ends a container. SIGTERM ends one unless `deaf`."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock, self.deaf = clock, False
        self.sandboxes: dict[str, PodSandboxStatus] = {}
        self.containers: dict[str, ContainerStatus] = {}
        self.start_error = ""
        self.exec_answers: dict[tuple[str, ...], ExecResult] = {}
        self.executed: list[tuple[str, tuple[str, ...]]] = []
        self._ids = itertools.count(1)
        self._listeners: list[asyncio.Queue[ContainerEvent]] = []

    def _now(self) -> str:
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z")

    def _tell(self, kind: str, container: ContainerStatus) -> None:
        for queue in self._listeners:
            queue.put_nowait(ContainerEvent(f"CONTAINER_{kind}_EVENT", container.id, container.sandbox_id, "node-1"))

    def named(self, name: str) -> list[ContainerStatus]:
        """Every attempt at the container, oldest first."""
        return [c for c in self.containers.values() if c.config.name == name]

    def exit(self, name: str, code: int, reason: str = "") -> None:
        """End the running container of this name."""
        running = next(c for c in self.named(name) if c.state == ContainerState.RUNNING)
        self._exit(running.id, code, reason)

    def _exit(self, id: str, code: int, reason: str = "") -> None:
        ended = {"state": ContainerState.EXITED, "finished_at": self._now(), "exit_code": code, "reason": reason}
        self.containers[id] = replace(self.containers[id], **ended)
        self._tell("STOPPED", self.containers[id])

    def lose_sandbox(self) -> None:
        """What a crash of the whole pod leaves."""
        for container in list(self.containers.values()):
            if container.state == ContainerState.RUNNING:
                self._exit(container.id, 137)
        self.sandboxes = {i: replace(s, state=SandboxState.NOTREADY) for i, s in self.sandboxes.items()}

    async def ensure_machine(self, config: MachineConfig) -> None: ...

    async def run_pod_sandbox(self, config: PodSandboxConfig) -> str:
        id = f"sandbox-{next(self._ids)}"
        self.sandboxes[id] = PodSandboxStatus(id, config, SandboxState.READY, self._now(), "10.244.1.5", 1)
        return id

    async def stop_pod_sandbox(self, id: str) -> None:
        for container in list(self.containers.values()):
            if container.sandbox_id == id and container.state == ContainerState.RUNNING:
                self._exit(container.id, 137)
        self.sandboxes[id] = replace(self.sandboxes[id], state=SandboxState.NOTREADY)

    async def remove_pod_sandbox(self, id: str) -> None:
        del self.sandboxes[id]
        self.containers = {i: c for i, c in self.containers.items() if c.sandbox_id != id}

    async def pod_sandbox_status(self, id: str) -> PodSandboxStatus:
        if id not in self.sandboxes:
            raise RuntimeServiceError("NotFound", id)
        return self.sandboxes[id]

    async def list_pod_sandbox(self, machine: str | None = None) -> list[PodSandboxStatus]:
        return list(self.sandboxes.values())

    async def create_container(self, sandbox_id: str, config: ContainerConfig) -> str:
        id = f"container-{next(self._ids)}"
        self.containers[id] = ContainerStatus(id, sandbox_id, config, ContainerState.CREATED, self._now())
        return id

    async def start_container(self, id: str) -> None:
        if self.start_error:
            self.containers[id] = replace(
                self.containers[id],
                state=ContainerState.EXITED,
                exit_code=128,
                reason="StartError",
                message=self.start_error,
                finished_at=self._now(),
            )
            raise RuntimeServiceError("Unknown", self.start_error)
        self.containers[id] = replace(self.containers[id], state=ContainerState.RUNNING, started_at=self._now())
        self._tell("STARTED", self.containers[id])

    async def stop_container(self, id: str, timeout: float) -> None:  # noqa: ASYNC109 - the client's signature
        if self.containers[id].state != ContainerState.RUNNING:
            return
        if self.deaf:
            await self.clock.sleep(timeout)
        if self.containers[id].state == ContainerState.RUNNING:
            self._exit(id, 137 if self.deaf else 143, "Error")

    async def remove_container(self, id: str) -> None:
        del self.containers[id]

    async def container_status(self, id: str) -> ContainerStatus:
        if id not in self.containers:
            raise RuntimeServiceError("NotFound", id)
        return self.containers[id]

    async def list_containers(self, machine: str | None = None, sandbox_id: str | None = None) -> list[ContainerStatus]:
        return [c for c in self.containers.values() if sandbox_id in (None, c.sandbox_id)]

    async def exec_sync(self, id: str, argv: list[str], timeout: float) -> ExecResult:  # noqa: ASYNC109
        self.executed.append((self.containers[id].config.name, tuple(argv)))
        return self.exec_answers.get(tuple(argv), ExecResult(b"", b"", 0))

    async def events(self) -> AsyncIterator[ContainerEvent]:
        queue: asyncio.Queue[ContainerEvent] = asyncio.Queue()
        self._listeners.append(queue)
        while True:
            yield await queue.get()
