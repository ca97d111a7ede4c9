"""Containers on networks: what `docker run --network`, `network connect` and `disconnect` do to one's sandbox.

Upstream: moby's daemon/container_operations.go. An endpoint is kept in the container's record as `docker inspect` shows
it, under its network's name.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kubelab.engine import containers_config, containers_links
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


def _check_mac(text: str) -> str:
    """Raises DockerError 400 in the words of Go's net.ParseMAC."""
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise DockerError(400, f"invalid MAC address: address {text}: invalid MAC address")
    return text.lower()


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
        if asked.get("LinkLocalIPs"):
            raise DockerError(400, "NetworkingConfig.LinkLocalIPs is not supported by this engine: leave it out")
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
        kept = {"Links": asked.get("Links") or None, "DriverOpts": asked.get("DriverOpts") or None}
        return {**_EMPTY, **kept, "IPAMConfig": ipam or None, "Aliases": aliases or None}

    def macs(self, config: Fields, host: Fields, networking: Fields) -> dict[str, str]:
        """Network -> the MAC that the client has chosen. Raises DockerError 400."""
        endpoints = (networking.get("EndpointsConfig") or {}).items()
        asked = [(host["NetworkMode"], config.get("MacAddress"))]
        asked += [(name, (each or {}).get("MacAddress")) for name, each in endpoints]
        return {self._name(name): _check_mac(mac) for name, mac in asked if mac}

    # -- a container's sandbox

    async def attach(self, container: Container) -> None:
        """See to its sandbox and its place on every network. Raises DockerError, RuntimeServiceError."""
        networks = [self._networks.find(name) for name in container.endpoints]
        runtime = self._engine.runtime
        await runtime.ensure_machine(self._engine.machine)
        if container.sandbox_id and container.links:
            await runtime.update_pod_sandbox(container.sandbox_id, self._dns(container), self._hosts(container))
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
        return PodSandboxConfig(
            name=container.name,
            namespace="docker",
            uid=container.id,
            machine=self._engine.machine.name,
            hostname=container.hostname,
            domainname=container.config.get("Domainname") or "",
            host_aliases=self._hosts(container),
            dns=self._dns(container),
            sysctls=dict(host.get("Sysctls") or {}),
            shm_size=host.get("ShmSize") or 0,
            network=self._place(mode),
            mac_address=container.macs.get("bridge", ""),
        )

    def _place(self, mode: str) -> str:
        """PodSandboxConfig's network; one of one's own is joined later. Raises DockerError 404, 409."""
        if mode.startswith("container:"):
            return f"container:{self._sandbox_of(mode.partition(':')[2])}"
        return {"host": "node", "bridge": "pod"}.get(mode, "none")

    def _hosts(self, container: Container) -> dict[str, str]:
        """Further lines of its /etc/hosts. Raises DockerError where a container that it is linked to does not run."""
        gateway = self._networks.find("bridge").gateway
        linked = containers_links.hosts(container, self._engine.containers.find)
        return containers_config.extra_hosts(container.host_config, gateway) | linked

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
        mac = container.macs.get(network.name, "")
        place = await runtime.connect_sandbox(container.sandbox_id, network.runtime_id, address, mac)
        self._placed(container, network, place)
        container.ip = container.ip or endpoint["IPAddress"]
        await self._tell_names(network)

    def _placed(self, container: Container, network: Network, place: Any) -> None:
        container.endpoints[network.name] |= {
            "NetworkID": network.id,
            "EndpointID": secrets.token_hex(32),
            "Gateway": place.gateway,
            "IPAddress": place.ip,
            "IPPrefixLen": place.prefix,
            "MacAddress": container.macs.get(network.name) or mac_of(place.ip),
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
        kept = {field: container.endpoints[name][field] for field in ("IPAMConfig", "Aliases", "Links", "DriverOpts")}
        container.endpoints[name] = {**_EMPTY, **kept}

    async def detach(self, container: Container) -> None:
        """Its sandbox goes, with all that is in it."""
        self.leave(container.sandbox_id)
        if container.sandbox_id:
            with suppress(RuntimeServiceError):
                await self._engine.runtime.stop_pod_sandbox(container.sandbox_id)
                await self._engine.runtime.remove_pod_sandbox(container.sandbox_id)
        self.forget(container)

    def forget(self, container: Container) -> None:
        """The sandbox is gone."""
        self.leave(container.sandbox_id)
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
        for network, own in asker.endpoints.items():
            if network in BUILTIN:
                continue
            found += self._named(network, name.lower(), own.get("Links") or [])
        return list(dict.fromkeys(found))

    def _named(self, network: str, name: str, links: list[str]) -> list[str]:
        """Addresses on a network of those with this name, this alias, or (`CONTAINER:ALIAS`) this link."""
        found, linked = [], [link.lower().partition(":") for link in links]
        for each in self._networks.members(network):
            endpoint = each.endpoints[network]
            names = {each.name.lower(), *(alias.lower() for alias in endpoint["Aliases"] or ())}
            names |= {alias for other, _, alias in linked if other in (each.name.lower(), each.id)}
            if each.running and name in names and endpoint["IPAddress"]:
                found.append(endpoint["IPAddress"])
        return found

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

    # -- docker build --network

    def place_of(self, mode: str) -> tuple[str, Network | None]:
        """(PodSandboxConfig's network, the one to join then) of a build's container. Raises DockerError 404, 409."""
        place = self._place(mode)
        return place, self._networks.find(mode) if place == "none" and mode != "none" else None

    def dns_of(self, network: Network | None) -> DNSConfig:
        return DNSConfig() if network is None else DNSConfig((NAME_SERVER,), (), ("ndots:0",))

    async def join(self, sandbox_id: str, network: Network) -> None:
        """Put a sandbox of no container's on a network, and let it find names there. Raises RuntimeServiceError."""
        runtime = self._engine.runtime
        await runtime.ensure_network(network.runtime_config(self._engine.machine.name))
        await runtime.connect_sandbox(sandbox_id, network.runtime_id)
        if runtime.level != Level.PROCESS:
            server = NameServer(lambda name: self._named(network.name, name.lower(), []), ())
            self._servers[sandbox_id] = server
            await server.start(runtime, sandbox_id)

    def leave(self, sandbox_id: str) -> None:
        if server := self._servers.pop(sandbox_id, None):
            server.close()

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
            if mac := asked.get("MacAddress"):
                container.macs[network.name] = _check_mac(mac)
            if container.sandbox_id:
                try:
                    await self._join(container, network)
                except (DockerError, RuntimeServiceError):
                    del container.endpoints[network.name]
                    raise
                if self._resolves(container):
                    hosts = self._hosts(container)
                    await self._engine.runtime.update_pod_sandbox(container.sandbox_id, self._dns(container), hosts)
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
