"""A control plane in this process, with nodes that exist on paper only: a hollow kubelet says that every pod runs.

(kubemark's hollow nodes, in small.) API server, controllers and scheduler are the real ones and speak HTTPS.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from kubelab.clock import Clock, RealClock
from kubelab.cluster import controllers, scheduler
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.client import APIClient, APIError, NotFound
from kubelab.cluster.controlplane import api_server
from kubelab.cluster.informer import Informer
from kubelab.cluster.pods import is_terminating, node_name, phase
from kubelab.cluster.resources import LEASES, NODES, PODS
from kubelab.cluster.times import micro_timestamp, timestamp
from kubelab.home import Home
from kubelab.settings import files

Object = dict[str, Any]


class HollowKubelet:
    """Makes pods bound to `names` Running and Ready, gives them an address, and lets go of those being deleted."""

    def __init__(self, client: APIClient, names: list[str]) -> None:
        self.client, self.names = client, set(names)
        self.ready = True  # whether pods become Ready
        self.silent: set[str] = set()  # nodes that have gone quiet
        self._addresses = itertools.count(2)
        self._pods = Informer(client, PODS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        for name in self.names:
            await self.client.create(NODES, hollow_node(name))
            await self.heartbeat(name)
        self._pods.add_handler(self._handle, lambda old, new: self._handle(new))
        await self._pods.start()
        await self._pods.synced()

    async def stop(self) -> None:
        await self._pods.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def heartbeat(self, name: str) -> None:
        """Renew the node's Lease."""
        now = micro_timestamp(RealClock().now())
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "renewTime": now, "leaseDurationSeconds": 40},
        }
        try:
            await self.client.patch(LEASES, name, {"spec": lease["spec"]}, "kube-node-lease", type="merge")
        except NotFound:
            await self.client.create(LEASES, lease)

    def _handle(self, pod: Object) -> None:
        if node_name(pod) in self.names - self.silent:
            task = asyncio.ensure_future(self._sync(pod))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _sync(self, pod: Object) -> None:
        metadata = pod["metadata"]
        with contextlib.suppress(APIError):
            if is_terminating(pod):
                await self.client.delete(
                    PODS, metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=metadata["uid"]
                )
            elif phase(pod) == "Pending":
                await self.set_ready(pod, self.ready, podIP=f"10.244.1.{next(self._addresses)}", phase="Running")

    async def set_ready(self, pod: Object, ready: bool, **status: Any) -> None:
        """Write the pod's status as a kubelet would."""
        now = timestamp(RealClock().now())
        truth = "True" if ready else "False"
        conditions = [
            {"type": kind, "status": truth, "lastTransitionTime": now} for kind in ("Ready", "ContainersReady")
        ]
        metadata = pod["metadata"]
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {**status, "conditions": conditions}}
        await self.client.patch(PODS, metadata["name"], patch, metadata["namespace"], subresource="status")


def hollow_node(name: str) -> Object:
    now = timestamp(RealClock().now())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {},
        "status": {
            "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "KubeletReady",
                    "message": "kubelet is posting ready status",
                    "lastHeartbeatTime": now,
                    "lastTransitionTime": now,
                }
            ],
        },
    }


class Lab:
    """The running control plane: an admin's `client`, and the hollow `kubelet`."""

    def __init__(self, client: APIClient, kubelet: HollowKubelet, clock: Clock) -> None:
        self.client, self.kubelet, self.clock = client, kubelet, clock

    async def pods(self, namespace: str = "default", selector: str = "") -> list[Object]:
        return (await self.client.list(PODS, namespace, label_selector=selector))["items"]


async def eventually(check: Callable[[], Awaitable[Any]], what: str, deadline: float = 10.0) -> Any:
    """Ask until `check()` gives something true, and give that. AssertionError after `deadline` seconds."""
    end = asyncio.get_running_loop().time() + deadline
    while True:
        found = await check()
        if found:
            return found
        assert asyncio.get_running_loop().time() < end, f"not within {deadline:.0f} s: {what}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def run_lab(home: Home, settings: dict[str, Any] | None = None, clock: Clock | None = None) -> AsyncIterator[Lab]:
    """API server, controllers (with `settings`), scheduler and two hollow nodes in this process."""
    files.write(home, "process", "upstream")
    config = Config.load(home.component_config("kube-apiserver"))
    clock = clock or RealClock()
    async with api_server(config, home.store, clock), contextlib.AsyncExitStack() as stack:
        names = ("kube-controller-manager", "kube-scheduler")
        paths = [*(home.component_kubeconfig(name) for name in names), home.kubeconfig]
        clients = [await stack.enter_async_context(APIClient.from_kubeconfig(path)) for path in paths]
        tasks = [
            asyncio.create_task(controllers.run(clients[0], settings or {}, clock)),
            asyncio.create_task(scheduler.run(clients[1], clock)),
        ]
        kubelet = HollowKubelet(clients[2], ["node-1", "node-2"])
        await kubelet.start()
        try:
            yield Lab(clients[2], kubelet, clock)
            for task in tasks:
                assert not task.done(), f"ended: {task}"
        finally:
            await kubelet.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
