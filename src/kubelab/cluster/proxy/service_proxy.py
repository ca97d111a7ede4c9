"""The service proxy: keeps a node's open ports equal to the table that Services, EndpointSlices and the pods'
hostPorts give.

Upstream: kube-proxy (pkg/proxy), which writes the same table into iptables. Here a cluster IP is an address of the
machine, and a port of it an open socket in the machine's network. Without endpoints the socket is closed, so that the
kernel refuses connections, as upstream's REJECT rule does. The client's address is not kept: an endpoint sees the
node's.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from functools import partial
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.informer import Informer
from kubelab.cluster.kubelet.alarm import Alarm
from kubelab.cluster.kubelet.config import KubeletConfiguration
from kubelab.cluster.proxy.dropping import DroppingPort
from kubelab.cluster.proxy.forwarder import Forwarder
from kubelab.cluster.proxy.host_ports import host_port_rules, host_ports
from kubelab.cluster.proxy.rules import Address, Backend, Frontend, has_cluster_ip, make_rules, unsupported_ports
from kubelab.cluster.proxy.udp import UDPForwarder
from kubelab.runtime.api import RuntimeServiceError
from kubelab.runtime.client import RuntimeClient

log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
LOOPBACK = "127.0.0.1"  # at the level process pods have loopback addresses too, but never this one


class ServiceProxy:
    """`await start()` returns when the services that are known are served."""

    def __init__(
        self,
        config: KubeletConfiguration,
        runtime: RuntimeClient,
        services: Informer,
        slices: Informer,
        pods: Informer,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._config, self._runtime = config, runtime
        self._services, self._slices, self._pods = services, slices, pods
        self._recorder, self._clock, self._alarm = recorder, clock, Alarm(clock)
        self._forwarders: dict[Frontend, Forwarder | UDPForwarder | DroppingPort] = {}
        self._addresses: set[str] = set()
        self._warned: set[tuple[Any, ...]] = set()
        self._task: asyncio.Task[None] | None = None
        self._cut = False

    async def start(self) -> None:
        for informer in (self._services, self._slices):
            informer.add_handler(
                lambda _: self._alarm.ring(), lambda _, __: self._alarm.ring(), lambda _: self._alarm.ring()
            )
            await informer.synced()
        self._pods.add_handler(self._pod_changed, lambda _, new: self._pod_changed(new), self._pod_changed)
        await self._reconcile()
        self._task = asyncio.create_task(self._run(), name="service proxy")

    def _pod_changed(self, pod: dict[str, Any]) -> None:
        if any(True for _ in host_ports(pod)):
            self._alarm.ring()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for forwarder in self._forwarders.values():
            forwarder.close()

    def restart(self) -> None:
        """The machine was made anew: nothing that was open in it is."""
        for forwarder in self._forwarders.values():
            forwarder.close()
        self._forwarders.clear()
        self._addresses.clear()
        self._alarm.ring()

    def set_cut(self, cut: bool) -> None:
        """Whether the node is cut off: then nobody reaches it from the host, nor from it the API server."""
        self._cut = cut
        self._alarm.ring()

    async def _run(self) -> None:
        complete = True
        while True:
            await self._alarm.wait(None if complete else self._clock.monotonic() + RETRY_SECONDS)
            try:
                complete = await self._reconcile()
            except Exception:
                log.exception("services not brought up to date")
                complete = False

    async def _reconcile(self) -> bool:
        """Open, change and close until the node is as the table says. False where something has to be tried again."""
        config = self._config
        services = self._services.list()
        rules = make_rules(services, self._slices.list(), config.nodeName, config.node_ip, config.hostAddress)
        rules |= host_port_rules(self._pods.list(), config.node_ip, config.hostAddress)
        served = {f: back for f, back in rules.items() if (back.endpoints or back.drop) and not self._is_away(f)}
        for frontend in self._forwarders.keys() - served.keys():
            self._forwarders.pop(frontend).close()
        wanted = {front.ip for front in rules if front.where == "node"} - {config.node_ip}
        wanted |= {s["spec"]["clusterIP"] for s in services if has_cluster_ip(s)}
        complete = await self._reconcile_addresses(wanted)
        for frontend, backend in served.items():
            complete &= await self._serve(frontend, backend)
        for service in services:
            self._warn_unsupported(service)
        return complete

    def _is_away(self, frontend: Frontend) -> bool:
        return self._cut and frontend.where == "host"

    async def _reconcile_addresses(self, wanted: set[str]) -> bool:
        complete = True
        for change, ips in (("add_address", wanted - self._addresses), ("remove_address", self._addresses - wanted)):
            for ip in ips:
                try:
                    await getattr(self._runtime, change)(self._config.nodeName, ip)
                except RuntimeServiceError as error:
                    log.warning("%s %s: %s", change, ip, error)
                    complete = False
                    continue
                self._addresses ^= {ip}
        return complete

    async def _serve(self, frontend: Frontend, backend: Backend) -> bool:
        known = self._forwarders.get(frontend)
        if known is not None and isinstance(known, DroppingPort) == backend.drop:
            known.backend = backend
            return True
        if known is not None:
            self._forwarders.pop(frontend).close()
        forwarder = None
        try:
            forwarder = await self._make(frontend, backend)
            await forwarder.start(await self._bind(frontend))
        except (OSError, RuntimeServiceError) as error:
            if forwarder is not None:
                forwarder.close()
            self._warn_not_open(frontend, backend, error)
            return False
        self._forwarders[frontend] = forwarder
        return True

    async def _make(self, frontend: Frontend, backend: Backend) -> Forwarder | UDPForwarder | DroppingPort:
        kind = KINDS[frontend.protocol]
        if backend.drop:
            return DroppingPort(backend, await self._open(frontend.where, kind))
        reach = partial(self._socket_to, kind=kind)
        made = UDPForwarder if frontend.protocol == "UDP" else Forwarder
        return made(backend, reach, self._clock)

    async def _socket_to(self, endpoint: Address, kind: socket.SocketKind) -> socket.socket:
        """A socket that reaches the endpoint: from inside the machine, or on the host where the API server listens."""
        if endpoint[0] == LOOPBACK and self._cut:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        return await self._open("host" if endpoint[0] == LOOPBACK else "node", kind)

    async def _open(self, where: str, kind: socket.SocketKind) -> socket.socket:
        if where == "node":
            return await self._runtime.open_socket(self._config.nodeName, type=kind)
        made = socket.socket(type=kind)
        made.setblocking(False)
        return made

    async def _bind(self, frontend: Frontend) -> socket.socket:
        """A bound socket, in the machine or on the host.

        Machines that share the host's network (level process) share the cluster IPs too: each may listen on them.
        """
        made = await self._open(frontend.where, KINDS[frontend.protocol])
        try:
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if frontend.where == "node":
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.bind((frontend.ip, frontend.port))
        except BaseException:
            made.close()
            raise
        return made

    # -- what is not served is said, once

    def _warn_not_open(self, frontend: Frontend, backend: Backend, error: Exception) -> None:
        owner = (self._pods if backend.kind == "Pod" else self._services).get(*backend.owner)
        message = f"node {self._config.nodeName} cannot listen on {frontend.ip}:{frontend.port}: {error}"
        self._warn(owner, "FailedListen", message)

    def _warn_unsupported(self, service: dict[str, Any]) -> None:
        for port in unsupported_ports(service):
            what = f"port {port['port']}/{port['protocol']} is not served"
            message = f"{what}: the service proxy forwards TCP and UDP only"
            self._warn(service, "UnsupportedProtocol", message)

    def _warn(self, owner: dict[str, Any] | None, reason: str, message: str) -> None:
        uid = owner["metadata"]["uid"] if owner else ""
        if (uid, message) in self._warned:
            return
        self._warned.add((uid, message))
        log.warning("%s", message)
        if owner:
            self._recorder.event(owner, "Warning", reason, message)
