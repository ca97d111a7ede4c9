"""Containers on networks: what `docker run --network`, `network connect` and `disconnect` do to one's sandbox.

Upstream: moby's daemon/container_operations.go. An endpoint is kept in the container's record as `docker inspect` shows
it, under its network's name.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubelab.engine import containers_config
from kubelab.engine.containers_record import Container
from kubelab.engine.errors import DockerError
from kubelab.engine.networks import BUILTIN, Network
from kubelab.engine.networks_dns import NAME_SERVER, NameServer
from kubelab.runtime.addresses import mac_of
from kubelab.runtime.api import DNSConfig, Level, PodSandboxConfig, RuntimeServiceError

if TYPE_CHECKING:
    from kubelab.engine.engine import Engine

Fields = dict[str, Any]
_EMPTY: Fields = {
    "IPAMConfig": None, "Links": None, "Aliases": None, "NetworkID": "", "EndpointID": "", "Gateway": "",
    "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,
    "MacAddress": "", "DriverOpts": None,
}  # fmt: skip


class Wiring:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._networks = engine.networks
        self._servers: dict[str, NameServer] = {}  # by sandbox

    # -- what is asked for

    def plan(self, container_id: str, config: Fields, host: Fields, networking: Fields) -> dict[str, Fields]:
        """The endpoints of a container to be made. Raises DockerError."""
        mode = host["NetworkMode"]
        asked = {self._name(name): each or {} for name, each in (networking.get("EndpointsConfig") or {}).items()}
        if mode.startswith("container:"):
            if host.get("PortBindings") or host.get("PublishAllPorts"):
                raise DockerError(400, "conflicting options: port publishing and the container type network mode")
            if config["Hostname"]:
                raise DockerError(400, "conflicting options: hostname and the network mode")
            return {}
        host["NetworkMode"] = mode = self._name(mode)
        asked.setdefault(mode, {})
        return {name: self._endpoint(name, each, container_id) for name, each in asked.items()}

    def _name(self, name: str) -> str:
        """Of a network that is there; of another one the name is kept until the start, which fails by it."""
        if name in ("", "default"):
            return "bridge"
        with suppress(DockerError):
            return self._networks.find(name).name
        return name

    def _endpoint(self, network: str, asked: Fields, container_id: str) -> Fields:
        for field in ("Links", "LinkLocalIPs", "DriverOpts"):
            if asked.get(field):
                raise DockerError(400, f"NetworkingConfig.{field} is not supported by this engine: leave it out")
        ipam, aliases = asked.get("IPAMConfig") or {}, list(asked.get("Aliases") or ())
        if ipam.get("IPv6Address") or ipam.get("LinkLocalIPs"):
            raise DockerError(400, "IPv6 and link-local addresses are not supported by this engine: leave them out")
        if network in BUILTIN:
            if aliases:
                message = "network-scoped alias is supported only for containers in user defined networks"
                raise DockerError(400, message)
            if ipam.get("IPv4Address"):
                raise DockerError(400, "user specified IP address is supported on user defined networks only")
        else:
            aliases = [*dict.fromkeys((*aliases, container_id[:12]))]
        return {**_EMPTY, "IPAMConfig": ipam or None, "Aliases": aliases or None}

    # -- a container's sandbox

    async def attach(self, container: Container) -> None:
        """See to its sandbox and its place on every network. Raises DockerError, RuntimeServiceError."""
        networks = [self._networks.find(name) for name in container.endpoints]
        runtime = self._engine.runtime
        await runtime.ensure_machine(self._engine.machine)
        if not container.sandbox_id:
            container.sandbox_id = await runtime.run_pod_sandbox(self._sandbox(container))
            status = await runtime.pod_sandbox_status(container.sandbox_id)
            container.ip = status.ip
            for each in status.endpoints:
                self._placed(container, self._networks.find("bridge"), each)
        for network in networks:
            await self._join(container, network)
        await self.serve_names(container)

    def _sandbox(self, container: Container) -> PodSandboxConfig:
        host, mode = container.host_config, container.host_config["NetworkMode"]
        network = {"host": "node", "bridge": "pod"}.get(mode, "none")
        if mode.startswith("container:"):
            network = f"container:{self._sandbox_of(mode.partition(':')[2])}"
        gateway = self._networks.find("bridge").gateway
        return PodSandboxConfig(
            name=container.name,
            namespace="docker",
            uid=container.id,
            machine=self._engine.machine.name,
            hostname=container.hostname,
            domainname=container.config.get("Domainname") or "",
            host_aliases=containers_config.extra_hosts(host, gateway),
            dns=self._dns(container),
            sysctls=dict(host.get("Sysctls") or {}),
            shm_size=host.get("ShmSize") or 0,
            network=network,
        )

    def _sandbox_of(self, name: str) -> str:
        """Raises DockerError 404, 409."""
        other = self._engine.containers.find(name)
        if not other.running:
            raise DockerError(409, f"cannot join network of a non running container: {other.id}")
        return other.sandbox_id

    def _dns(self, container: Container) -> DNSConfig:
        own = self._resolves(container)
        servers, options = ((NAME_SERVER,), ("ndots:0",)) if own else ((), ())
        return containers_config.dns_config(container.host_config, servers, options)

    def _resolves(self, container: Container) -> bool:
        """Names are served on networks of one's own, not on the default bridge."""
        return self._engine.runtime.level != Level.PROCESS and any(name not in BUILTIN for name in container.endpoints)

    async def _join(self, container: Container, network: Network) -> None:
        if network.name in ("host", "none") or container.endpoints[network.name]["EndpointID"]:
            return
        runtime, endpoint = self._engine.runtime, container.endpoints[network.name]
        if not network.builtin:
            await runtime.ensure_network(network.runtime_config(self._engine.machine.name))
        address = (endpoint["IPAMConfig"] or {}).get("IPv4Address") or ""
        if address and not network.user_subnet:
            message = (
                "user specified IP address is supported only when connecting to networks with user configured subnets"
            )
            raise DockerError(400, message)
        self._placed(
            container, network, await runtime.connect_sandbox(container.sandbox_id, network.runtime_id, address)
        )
        container.ip = container.ip or endpoint["IPAddress"]
        await self._tell_names(network)

    def _placed(self, container: Container, network: Network, place: Any) -> None:
        container.endpoints[network.name] |= {
            "NetworkID": network.id,
            "EndpointID": secrets.token_hex(32),
            "Gateway": place.gateway,
            "IPAddress": place.ip,
            "IPPrefixLen": place.prefix,
            "MacAddress": mac_of(place.ip),
        }
        self._event("connect", network, container)

    def _event(self, action: str, network: Network, container: Container) -> None:
        self._engine.events.publish(
            "network", action, network.id, container=container.id, name=network.name, type=network.driver
        )

    async def release(self, container: Container) -> None:
        """It does not run: its addresses are free for others until its next start. What it has written stays."""
        for name, endpoint in list(container.endpoints.items()):
            if not endpoint["EndpointID"]:
                continue
            with suppress(DockerError):
                network = self._networks.find(name)
                with suppress(RuntimeServiceError):
                    await self._engine.runtime.disconnect_sandbox(container.sandbox_id, network.runtime_id)
                self._event("disconnect", network, container)
            self._clear(container, name)
            with suppress(DockerError):
                await self._tell_names(self._networks.find(name))
        container.ip = ""

    def _clear(self, container: Container, name: str) -> None:
        kept = {field: container.endpoints[name][field] for field in ("IPAMConfig", "Aliases")}
        container.endpoints[name] = {**_EMPTY, **kept}

    async def detach(self, container: Container) -> None:
        """Its sandbox goes, with all that is in it."""
        if server := self._servers.pop(container.sandbox_id, None):
            server.close()
        if container.sandbox_id:
            with suppress(RuntimeServiceError):
                await self._engine.runtime.stop_pod_sandbox(container.sandbox_id)
                await self._engine.runtime.remove_pod_sandbox(container.sandbox_id)
        self.forget(container)

    def forget(self, container: Container) -> None:
        """The sandbox is gone."""
        if server := self._servers.pop(container.sandbox_id, None):
            server.close()
        container.sandbox_id = container.runtime_id = container.ip = ""
        for name, endpoint in container.endpoints.items():
            if endpoint["EndpointID"]:
                with suppress(DockerError):
                    self._event("disconnect", self._networks.find(name), container)
            self._clear(container, name)

    # -- names

    async def serve_names(self, container: Container) -> None:
        """Have a name server in its sandbox, once."""
        if not self._resolves(container) or container.sandbox_id in self._servers:
            return
        host = container.host_config
        server = NameServer(lambda name: self.lookup(container, name), tuple(host.get("Dns") or ()))
        self._servers[container.sandbox_id] = server
        await server.start(self._engine.runtime, container.sandbox_id)

    def lookup(self, asker: Container, name: str) -> list[str]:
        """Addresses that a name has on the networks of one's own that the asker is on."""
        found = []
        for network in asker.endpoints:
            if network in BUILTIN:
                continue
            for each in self._networks.members(network):
                endpoint = each.endpoints[network]
                names = {each.name.lower(), *(alias.lower() for alias in endpoint["Aliases"] or ())}
                if each.running and name.lower() in names and endpoint["IPAddress"]:
                    found.append(endpoint["IPAddress"])
        return list(dict.fromkeys(found))

    async def renamed(self, container: Container) -> None:
        """Its neighbours know it by its new name alone."""
        for name in container.endpoints:
            with suppress(DockerError):
                await self._tell_names(self._networks.find(name))

    async def _tell_names(self, network: Network) -> None:
        """Level process: there is no name server, but a hosts file for each (guest/sitecustomize.py reads it)."""
        if self._engine.runtime.level != Level.PROCESS or network.builtin:
            return
        for container in self._networks.members(network.name):
            if not container.sandbox_id:
                continue
            known = containers_config.extra_hosts(container.host_config)
            for name in (each for each in container.endpoints if each not in BUILTIN):
                for other in self._networks.members(name):
                    endpoint = other.endpoints[name]
                    if endpoint["IPAddress"]:
                        known |= dict.fromkeys([other.name, *(endpoint["Aliases"] or ())], endpoint["IPAddress"])
            await self._engine.runtime.update_pod_sandbox(container.sandbox_id, DNSConfig(), known)

    # -- docker network connect, disconnect, rm

    async def connect(self, container: Container, network: Network, asked: Fields) -> None:
        """Raises DockerError."""
        mode = container.host_config["NetworkMode"]
        if network.name == "host" or mode == "host":
            raise DockerError(400, "container cannot be disconnected from host network or connected to host network")
        if mode.startswith("container:"):
            message = (
                "container sharing network namespace with another container or host cannot be connected to any other"
            )
            raise DockerError(400, f"{message} network")
        if network.name == "none" or (mode == "none" and "none" in container.endpoints):
            message = (
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )
            raise DockerError(400, message)
        async with container.busy:
            if network.name in container.endpoints and container.running:
                raise DockerError(403, f"endpoint with name {container.name} already exists in network {network.name}")
            container.endpoints[network.name] = self._endpoint(network.name, asked, container.id)
            if container.sandbox_id:
                try:
                    await self._join(container, network)
                except (DockerError, RuntimeServiceError):
                    del container.endpoints[network.name]
                    raise
                if self._resolves(container):
                    aliases = containers_config.extra_hosts(container.host_config)
                    await self._engine.runtime.update_pod_sandbox(container.sandbox_id, self._dns(container), aliases)
                    await self.serve_names(container)
            container.save()

    async def disconnect(self, container: Container, network: Network) -> None:
        """Raises DockerError."""
        if network.name == "host":
            raise DockerError(400, "container cannot be disconnected from host network or connected to host network")
        async with container.busy:
            endpoint = container.endpoints.get(network.name)
            if endpoint is None:
                raise DockerError(500, f"container {container.id} is not connected to the network {network.name}")
            if container.sandbox_id and endpoint["EndpointID"]:
                await self._engine.runtime.disconnect_sandbox(container.sandbox_id, network.runtime_id)
            del container.endpoints[network.name]
            left = (each["IPAddress"] for each in container.endpoints.values())
            container.ip = next(filter(None, left), "")
            self._event("disconnect", network, container)
            container.save()
        await self._tell_names(network)

    async def remove(self, network: Network) -> None:
        """Containers that do not run lose their place on it at their next start. Raises DockerError."""
        self._networks.remove(network)
        with suppress(RuntimeServiceError):
            for each in self._networks.members(network.name):
                if each.sandbox_id and each.endpoints[network.name]["EndpointID"]:
                    await self._engine.runtime.disconnect_sandbox(each.sandbox_id, network.runtime_id)
                    each.endpoints[network.name] = {**each.endpoints[network.name], "EndpointID": "", "IPAddress": ""}
            await self._engine.runtime.remove_network(self._engine.machine.name, network.runtime_id)
