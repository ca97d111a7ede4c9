"""Ports of the node that its pods ask for (`hostPort`): as the proxy's table has those of services.

Upstream: the CNI plug-in "portmap" (containernetworking/plugins, plugins/meta/portmap), which maps every address of the
node; two pods never ask for the same one, as the scheduler's NodePorts and the kubelet's admission see to. A `hostIP`
that is neither the node's nor its address on the host is served to nobody: only the node itself could ask there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from kubelab.cluster.pods import is_terminal
from kubelab.cluster.proxy.rules import PROTOCOLS, Backend, Frontend

Object = dict[str, Any]
ANY = ("", "0.0.0.0", "::")


def host_port_rules(pods: Iterable[Object], node_ip: str, host_ip: str) -> dict[Frontend, Backend]:
    """For the pods of one node that have an address and have not ended."""
    rules: dict[Frontend, Backend] = {}
    for pod in pods:
        ip = pod.get("status", {}).get("podIP")
        if not ip or is_terminal(pod):
            continue
        owner = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for port in host_ports(pod):
            protocol, wanted = port.get("protocol", "TCP"), port.get("hostIP") or ""
            if protocol not in PROTOCOLS:
                continue
            backend = Backend(owner, ((ip, port["containerPort"]),), kind="Pod")
            for address, where in {node_ip: "node", host_ip: "host"}.items():
                if wanted in ANY or wanted == address:
                    rules[Frontend(where, address, port["hostPort"], protocol)] = backend
    return rules


def host_ports(pod: Object) -> Iterator[Object]:
    spec = pod["spec"]
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*sidecars, *spec["containers"]):
        yield from (port for port in container.get("ports") or () if port.get("hostPort"))
