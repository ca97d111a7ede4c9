"""Networks: the default bridge, host, none, and those of `docker network create`; who is on which, and by which names.

Upstream: moby's daemon/network.go, libnetwork's bridge driver and its default address pools (libnetwork/ipamutils). The
runtime makes the bridges (`kubelab.runtime.bridges`).
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kubelab.engine.containers_record import Container
from kubelab.engine.errors import DockerError
from kubelab.engine.events import EventLog
from kubelab.engine.volumes import has_labels
from kubelab.runtime.api import NetworkConfig
from kubelab.runtime.logs import timestamp

Fields = dict[str, Any]
BUILTIN = {"bridge": "bridge", "host": "host", "none": "null"}  # name -> driver
FILTERS = ("driver", "id", "label", "name", "scope", "type", "dangling")
_POOLS = [*(f"172.{number}.0.0/16" for number in range(18, 32)), *(f"192.168.{n}.0/20" for n in range(0, 256, 16))]


@dataclass
class Network:
    id: str
    name: str
    driver: str
    created: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    attachable: bool = False
    user_subnet: bool = False  # the client has chosen it, and may so choose addresses
    ip_range: str = ""
    gateway_shown: bool = True  # not where the client has chosen a subnet without one
    reserved: dict[str, str] = field(default_factory=dict)  # `--aux-address`: host name -> address
    ipam_options: dict[str, str] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)

    @property
    def builtin(self) -> bool:
        return self.name in BUILTIN

    @property
    def runtime_id(self) -> str:
        """The runtime's name of it: the default bridge is the machine's own network."""
        return "" if self.builtin else self.id

    def runtime_config(self, machine: str) -> NetworkConfig:
        return NetworkConfig(
            self.id, machine, self.subnet, self.gateway, f"br-{self.id[:12]}", self.internal,
            self.ip_range, tuple(self.reserved.values()),
        )  # fmt: skip

    def shown(self, members: list[Container] | None) -> Fields:
        ipam: Fields = {"Subnet": self.subnet} | ({"Gateway": self.gateway} if self.gateway_shown else {})
        ipam |= {"IPRange": self.ip_range} if self.ip_range else {}
        ipam |= {"AuxiliaryAddresses": self.reserved} if self.reserved else {}
        return {
            "Name": self.name,
            "Id": self.id,
            "Created": self.created,
            "Scope": "local",
            "Driver": self.driver,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": self.ipam_options, "Config": [ipam] if self.subnet else []},
            "Internal": self.internal,
            "Attachable": self.attachable,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": {each.id: _member(each, each.endpoints[self.name]) for each in members or ()},
            "Options": self.options,
            "Labels": self.labels,
        }


def _member(container: Container, endpoint: Fields) -> Fields:
    ip = endpoint.get("IPAddress") or ""
    return {
        "Name": container.name,
        "EndpointID": endpoint.get("EndpointID") or "",
        "MacAddress": endpoint.get("MacAddress") or "",
        "IPv4Address": f"{ip}/{endpoint.get('IPPrefixLen')}" if ip else "",
        "IPv6Address": "",
    }


@dataclass
class Networks:
    """All networks; `members` gives the containers that are on one, by its name."""

    file: Path
    events: EventLog
    taken: tuple[str, ...]  # subnets that are the lab's
    members: Callable[[str], list[Container]] = field(default=lambda _: [])
    _all: dict[str, Network] = field(default_factory=dict)

    def load(self, bridge_subnet: str) -> None:
        if self.file.exists():
            saved = json.loads(self.file.read_text())
            self._all = {each["id"]: Network(**each) for each in saved}
        for name, driver in BUILTIN.items():
            if not any(each.name == name for each in self._all.values()):
                made = Network(secrets.token_hex(32), name, driver, timestamp())
                self._all[made.id] = made
        bridge = self.find("bridge")
        bridge.subnet, bridge.gateway = bridge_subnet, str(ipaddress.ip_network(bridge_subnet)[1])
        bridge.options = {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.name": "docker0",
        }
        self._save()

    def _save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps([asdict(each) for each in self._all.values()]))
        fresh.replace(self.file)

    def all(self) -> list[Network]:
        return list(self._all.values())

    def find(self, name: str) -> Network:
        """By ID, name, or the beginning of an ID. Raises DockerError 404, 400 where several begin so."""
        if name in self._all:
            return self._all[name]
        for network in self._all.values():
            if network.name == name:
                return network
        found = [network for id, network in self._all.items() if name and id.startswith(name)]
        if len(found) > 1:
            raise DockerError(400, f"{len(found)} matches found based on ID prefix: network {name} is ambiguous")
        if not found:
            raise DockerError(404, f"network {name} not found")
        return found[0]

    def create(self, asked: Fields) -> Network:
        """Raises DockerError."""
        name, driver = asked.get("Name") or "", asked.get("Driver") or "bridge"
        if name in (*BUILTIN, "default"):
            raise DockerError(403, f"operation is not permitted on predefined {name} network ")
        if not name.strip():  # libnetwork: config.ValidateName
            raise DockerError(400, "invalid network name: it is empty")
        if any(each.name == name for each in self._all.values()):
            raise DockerError(409, f"network with name {name} already exists")
        if driver in ("host", "null"):
            raise DockerError(403, f'only one instance of "{driver}" network is allowed')
        if driver != "bridge":
            raise DockerError(404, f'plugin "{driver}" not found')
        for field_ in ("EnableIPv6", "ConfigOnly", "Ingress"):
            if asked.get(field_):
                raise DockerError(400, f"{field_} is not supported by this engine: leave it out")
        network = Network(
            secrets.token_hex(32), name, driver, timestamp(),
            internal=bool(asked.get("Internal")), attachable=bool(asked.get("Attachable")),
            labels=asked.get("Labels") or {}, options=asked.get("Options") or {},
        )  # fmt: skip
        self._address(network, asked.get("IPAM") or {})
        self._all[network.id] = network
        self._save()
        self.events.publish("network", "create", network.id, name=name, type=driver)
        return network

    def _address(self, made: Network, ipam: Fields) -> None:
        """Give it a subnet and a gateway, as the client has it or the next that is free. Raises DockerError."""
        made.ipam_options = ipam.get("Options")
        if (ipam.get("Driver") or "default") != "default":
            raise DockerError(404, f'plugin "{ipam["Driver"]}" not found')
        configs = [each for each in ipam.get("Config") or () if each]
        if len(configs) > 1:
            raise DockerError(400, "one subnet a network is supported by this engine")
        asked = configs[0] if configs else {}
        used = [
            ipaddress.ip_network(each) for each in (*self.taken, *(n.subnet for n in self._all.values() if n.subnet))
        ]
        if not asked.get("Subnet"):
            free = (pool for pool in map(ipaddress.ip_network, _POOLS) if not any(pool.overlaps(each) for each in used))
            network = next(free, None)
            if network is None:
                message = "all predefined address pools have been fully subnetted"
                raise DockerError(500, f"could not find an available, non-overlapping IPv4 address pool: {message}")
            made.subnet, made.gateway = str(network), str(network[1])
            return
        try:
            network = ipaddress.IPv4Network(asked["Subnet"], strict=False)
            part = ipaddress.IPv4Network(asked.get("IPRange") or network, strict=False)
            gateway = ipaddress.IPv4Address(asked.get("Gateway") or max(part[0], network[1]))
            reserved = {name: ipaddress.IPv4Address(ip) for name, ip in (asked.get("AuxiliaryAddresses") or {}).items()}
        except ValueError as error:
            raise DockerError(400, f"invalid network config: {error}") from None
        if any(network.overlaps(each) for each in used):
            raise DockerError(403, "Pool overlaps with other one on this address space")
        if gateway not in network or network.num_addresses < 4:
            raise DockerError(400, f"invalid network config: no matching subnet for gateway {gateway}")
        if not part.subnet_of(network):
            raise DockerError(400, f"invalid network config: IP range {part} is not in the subnet {network}")
        for ip in reserved.values():
            if ip not in network:
                raise DockerError(400, f"invalid network config: no matching subnet for aux-address {ip}")
        made.subnet, made.gateway, made.user_subnet = str(network), str(gateway), True
        made.gateway_shown = bool(asked.get("Gateway"))
        made.ip_range = str(part) if asked.get("IPRange") else ""
        made.reserved = {name: str(ip) for name, ip in reserved.items()}

    def remove(self, network: Network) -> None:
        """Raises DockerError 403."""
        if network.builtin:
            raise DockerError(403, f"{network.name} is a pre-defined network and cannot be removed")
        if self.running_members(network):
            where = f"network {network.name} id {network.id}"
            raise DockerError(403, f"error while removing network: {where} has active endpoints")
        del self._all[network.id]
        self._save()
        self.events.publish("network", "destroy", network.id, name=network.name, type=network.driver)

    def running_members(self, network: Network) -> list[Container]:
        return [each for each in self.members(network.name) if each.running]

    def select(self, filters: dict[str, list[str]]) -> list[Network]:
        """Those that pass the filters. Raises DockerError 400."""
        for value in filters.get("type", []):
            if value not in ("custom", "builtin"):
                raise DockerError(400, f"invalid filter: 'type'='{value}'")
        truth = {"true": True, "1": True, "false": False, "0": False}
        found = []
        for network in self._all.values():
            checks = {
                "driver": lambda value, it=network: it.driver == value,
                "id": lambda value, it=network: it.id.startswith(value),
                "name": lambda value, it=network: value in it.name,
                "scope": lambda value: value == "local",
                "type": lambda value, it=network: it.builtin == (value == "builtin"),
                "dangling": lambda value, it=network: (
                    truth.get(value.lower(), True) == (not it.builtin and not self.running_members(it))
                ),
            }
            passes = all(any(map(check, filters[name])) for name, check in checks.items() if name in filters)
            if passes and has_labels(network.labels, filters.get("label", [])):
                found.append(network)
        return found
