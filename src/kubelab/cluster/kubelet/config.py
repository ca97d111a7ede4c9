"""The node agent's settings, under KubeletConfiguration's field names.

Upstream: https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/ (names, defaults). What the lab adds:
`nodeName`, `hostAddress` (the address on the host's loopback where this node's node ports are served), `serverToken`
(the bearer token of the kubelet's own server), and `address` with its prefix, as the node's place in the lab's LAN.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_ENVELOPE = ("kind", "apiVersion")


def parse_duration(text: str) -> float:
    """A Go duration (`1m30s`) in seconds. ValueError where it is none."""
    if text == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True)
class KubeletConfiguration:
    """Durations are in seconds here, and Go durations ("10s") in the file."""

    nodeName: str
    podCIDR: str
    address: str
    hostAddress: str
    serverToken: str
    port: int = 0
    nodeStatusUpdateFrequency: float = 10.0
    nodeStatusReportFrequency: float = 300.0
    nodeLeaseDurationSeconds: int = 40
    maxPods: int = 110
    syncFrequency: float = 60.0
    containerLogMaxSize: str = "10Mi"
    containerLogMaxFiles: int = 5
    containerLogMonitorInterval: float = 10.0
    clusterDNS: tuple[str, ...] = ()
    clusterDomain: str = "cluster.local"
    resolvConf: str = "/etc/resolv.conf"
    maxContainerRestartPeriod: float = 300.0  # in the file under `crashLoopBackOff`

    @property
    def node_ip(self) -> str:
        return self.address.partition("/")[0]

    @property
    def cluster_dns(self) -> str:
        """The address at which this node's name server listens; "" where there is to be none."""
        return self.clusterDNS[0] if self.clusterDNS else ""

    @classmethod
    def load(cls, path: Path) -> KubeletConfiguration:
        """Read the file. ValueError says which field of which file is wrong, or unknown."""
        try:
            return cls.from_dict(json.loads(path.read_text()))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> KubeletConfiguration:
        values = {k: v for k, v in settings.items() if k not in _ENVELOPE}
        values.update(values.pop("crashLoopBackOff", {}))
        known = cls.__dataclass_fields__
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f'strict decoding error: unknown field "{unknown[0]}"')
        required = ("nodeName", "podCIDR", "address", "hostAddress", "serverToken")
        if missing := [key for key in required if not values.get(key)]:
            raise ValueError(f"{missing[0]}: Required value")
        return cls(**{k: parse_duration(v) if known[k].type == "float" else v for k, v in values.items()})
