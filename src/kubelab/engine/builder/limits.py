"""What `docker build` may ask for its RUN containers: --memory, --cpu-*, --ulimit, --add-host, --shm-size, --network.

The names of the query are moby's (api/server/router/build/build_routes.go); what is not honoured is refused by name in
engine/build.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubelab.engine.containers_limits import cpuset
from kubelab.runtime.api import Resources

MINIMUM_MEMORY = 6 << 20  # bytes, as dockerd's


@dataclass(frozen=True)
class Limits:
    resources: Resources = field(default_factory=Resources)
    ulimits: tuple[tuple[str, int, int], ...] = ()  # name, soft, hard
    hosts: Mapping[str, str] = field(default_factory=dict)  # host name -> address
    shm_size: int = 0  # bytes, 0 is the default
    network: str = "bridge"  # as HostConfig.NetworkMode

    @classmethod
    def of(cls, query: Mapping[str, str], extra_hosts: Sequence[str]) -> Limits:
        """Raises ValueError, or DockerError, with what is wrong."""
        memory = _number(query, "memory")
        if 0 < memory < MINIMUM_MEMORY:
            raise ValueError("Minimum memory limit allowed is 6MB")
        resources = Resources(
            memory_limit=memory,
            memory_swap=_number(query, "memswap"),
            cpu_shares=_number(query, "cpushares"),
            cpu_quota=_number(query, "cpuquota"),
            cpu_period=_number(query, "cpuperiod"),
            cpuset_cpus=cpuset({"CpusetCpus": query.get("cpusetcpus"), "CpusetMems": query.get("cpusetmems")}),
        )
        hosts, network = dict(map(_host, extra_hosts)), query.get("networkmode", "")
        network = "bridge" if network in ("", "default") else network
        return cls(resources, _ulimits(query), hosts, _number(query, "shmsize"), network)


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name) or "0"
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'{name}: strconv.ParseInt: parsing "{text}": invalid syntax') from None


def _ulimits(query: Mapping[str, str]) -> tuple[tuple[str, int, int], ...]:
    try:
        found = json.loads(query.get("ulimits") or "[]") or []
        return tuple((each["Name"], int(each["Soft"]), int(each["Hard"])) for each in found)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"error reading ulimit settings: {error}") from None


def _host(text: str) -> tuple[str, str]:
    name, colon, address = text.partition(":")
    if not (name and colon and address):
        raise ValueError(f"bad format for add-host: {json.dumps(text)}")
    return name, address
