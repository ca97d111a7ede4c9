"""Write the config file of every component into `$KUBELAB_HOME/config`, under upstream's field names.

The names are those of kube-apiserver's flags, KubeControllerManagerConfiguration, KubeSchedulerConfiguration and
KubeletConfiguration (https://kubernetes.io/docs/reference/config-api/). ARCHITECTURE.md has the table.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kubelab.home import Home

from . import credentials, pki
from .addresses import CLUSTER_DOMAIN, ENGINE_HOST, SERVICE_NODE_PORT_RANGE, Addresses, node_host
from .ports import kept_ports
from .profiles import PROFILES, Profile

NODES = ("node-1", "node-2")
KUBELET = "kubelet-server"  # names the token by which the API server opens a kubelet's own server


@dataclass(frozen=True)
class Settings:
    """What one start of the engines is given."""

    home: Home
    addresses: Addresses
    profile: str
    ports: dict[str, int]
    tokens: dict[str, str]

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://127.0.0.1:{self.ports['kube-apiserver']}"


def write(home: Home, level: str, profile: str, ports: dict[str, int] | None = None) -> Settings:
    """Write everything that a start at runtime level `level` needs. `ports`: keep these, which are in use by us."""
    addresses = Addresses.of(level, home.path)
    pki.ensure(home.pki, ["10.96.0.1", addresses.kubernetes_service])
    pki.ensure_signing_key(home.pki)
    who = credentials.users(list(NODES))
    settings = Settings(
        home, addresses, profile, ports or kept_ports(home), credentials.kept_tokens(home, [*who, KUBELET])
    )
    _write_kubeconfigs(settings, who)
    for component, content in configs(settings).items():
        pki.write_private(home.component_config(component), (json.dumps(content, indent=2) + "\n").encode())
    return settings


def _write_kubeconfigs(settings: Settings, who: dict[str, credentials.User]) -> None:
    home, authority = settings.home, (settings.home.pki / "ca.crt").read_bytes()
    credentials.write_token_file(home.pki / "tokens.csv", who, settings.tokens)
    for component, user in who.items():
        path = home.kubeconfig if component == "admin" else home.component_kubeconfig(component)
        credentials.write_kubeconfig(path, settings.server, authority, user, settings.tokens[component])


def configs(settings: Settings) -> dict[str, dict[str, Any]]:
    """Component -> what its file holds."""
    home, profile = settings.home, PROFILES[settings.profile]
    return {
        "kube-apiserver": _apiserver(settings, profile),
        "kube-controller-manager": {
            "generic": {"clientConnection": _connection(home, "kube-controller-manager")},
            "nodeLifecycleController": {
                "nodeMonitorPeriod": profile.node_monitor_period,
                "nodeMonitorGracePeriod": profile.node_monitor_grace_period,
            },
        },
        "kube-scheduler": {"clientConnection": _connection(home, "kube-scheduler")},
        "engine": {
            "address": settings.addresses.machine(ENGINE_HOST),
            "bridge": settings.addresses.bridge,
            "hostAddress": settings.addresses.host_address(ENGINE_HOST),
            "registryPort": settings.ports["registry"],
        },
        **{name: _kubelet(settings, profile, number) for number, name in enumerate(NODES, 1)},
    }


def _connection(home: Home, component: str) -> dict[str, str]:
    return {"kubeconfig": str(home.component_kubeconfig(component))}


def _apiserver(settings: Settings, profile: Profile) -> dict[str, Any]:
    folder = settings.home.pki
    return {
        "bind-address": "127.0.0.1",
        "secure-port": settings.ports["kube-apiserver"],
        "tls-cert-file": str(folder / "apiserver.crt"),
        "tls-private-key-file": str(folder / "apiserver.key"),
        "token-auth-file": str(folder / "tokens.csv"),
        "service-account-signing-key-file": str(folder / "sa.key"),
        "service-cluster-ip-range": settings.addresses.services,
        "service-node-port-range": SERVICE_NODE_PORT_RANGE,
        "default-not-ready-toleration-seconds": profile.default_not_ready_toleration_seconds,
        "default-unreachable-toleration-seconds": profile.default_unreachable_toleration_seconds,
        "event-ttl": "1h0m0s",
        "kubelet-token": settings.tokens[KUBELET],
    }


def _kubelet(settings: Settings, profile: Profile, number: int) -> dict[str, Any]:
    addresses, host = settings.addresses, node_host(number)
    return {
        "nodeName": NODES[number - 1],
        "podCIDR": addresses.pods(number),
        "address": addresses.machine(host),
        "hostAddress": addresses.host_address(host),
        "port": 0,
        "serverToken": settings.tokens[KUBELET],
        "nodeStatusUpdateFrequency": profile.node_status_update_frequency,
        "nodeLeaseDurationSeconds": profile.node_lease_duration_seconds,
        "maxPods": 110,
        "clusterDNS": [addresses.cluster_dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "crashLoopBackOff": {"maxContainerRestartPeriod": profile.crash_loop_back_off_max_container_restart_period},
    }
