"""Where everything stands in the lab's network, by runtime level (the table "Addresses" of ARCHITECTURE.md).

The lab's own loopback prefix is 127.P.0.0/16, with P from the path of `$KUBELAB_HOME`: two users of one machine, or a
test beside a lesson, do not meet on an address. P leaves out 0 and 1 (127.0.0.1 and Debian's 127.0.1.1).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

CLUSTER_DOMAIN = "cluster.local"
SERVICE_NODE_PORT_RANGE = "30000-32767"  # kube-apiserver's default


@dataclass(frozen=True)
class Addresses:
    """Networks in CIDR notation, addresses with their prefix where a machine is given one."""

    level: str  # "namespaces" | "process"
    loopback: str  # "127.P"

    @classmethod
    def of(cls, level: str, home: Path) -> Addresses:
        digest = hashlib.sha256(str(home).encode()).digest()
        return cls(level, f"127.{2 + digest[0] % 253}")

    @property
    def _simulated(self) -> bool:
        return self.level != "namespaces"

    @property
    def lan(self) -> str:
        return f"{self.loopback}.0.0/24" if self._simulated else "172.31.0.0/24"

    @property
    def bridge(self) -> str:
        """The docker bridge's network."""
        return f"{self.loopback}.9.0/24" if self._simulated else "172.17.0.0/16"

    @property
    def services(self) -> str:
        return f"{self.loopback}.128.0/17" if self._simulated else "10.96.0.0/16"

    @property
    def kubernetes_service(self) -> str:
        """The service `kubernetes` has the first address of the service network, as upstream's."""
        network = self.services.partition("/")[0]
        return network.rpartition(".")[0] + ".1"

    @property
    def cluster_dns(self) -> str:
        """The service `kube-dns` has the tenth address of the service network, as kubeadm gives it."""
        return self.kubernetes_service + "0"

    def machine(self, host: int) -> str:
        """A machine's address in the LAN: the engine is host 2, node N is host 10+N."""
        network, _, prefix = self.lan.partition("/")
        return f"{network.rpartition('.')[0]}.{host}/{prefix}"

    def host_address(self, host: int) -> str:
        """Where that machine's ports are served on the host's own loopback."""
        return f"{self.loopback}.0.{host}"

    def pods(self, node: int) -> str:
        return f"{self.loopback}.{16 + node}.0/24" if self._simulated else f"10.244.{node}.0/24"


ENGINE_HOST = 2


def node_host(node: int) -> int:
    """The host number of node N."""
    return 10 + node
