"""The environment variables by which a container finds the services of its namespace.

Upstream: pkg/kubelet/envvars/envvars.go and getServiceEnvVarMap in kubelet_pods.go: each service with a cluster IP
gives `NAME_SERVICE_HOST` and `NAME_SERVICE_PORT`, and the variables of Docker's links, which are older.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Service = dict[str, Any]

MASTER = ("default", "kubernetes")


def service_environment(services: Iterable[Service], namespace: str, enable_links: bool) -> dict[str, str]:
    """Variables for a pod in `namespace`; without links only those of the API server's own service."""
    found: dict[str, str] = {}
    for service in services:
        key = (service["metadata"]["namespace"], service["metadata"]["name"])
        ip = service["spec"].get("clusterIP", "")
        if ip in ("", "None") or not service["spec"].get("ports"):
            continue
        if key == MASTER or (enable_links and key[0] == namespace):
            found.update(_variables(key[1], ip, service["spec"]["ports"]))
    return found


def _variables(name: str, ip: str, ports: list[dict[str, Any]]) -> dict[str, str]:
    prefix = _variable_name(name)
    made = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            made[f"{prefix}_SERVICE_PORT_{_variable_name(port['name'])}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{ip}:{port['port']}"
        if index == 0:
            made[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        made |= {link: url, f"{link}_PROTO": protocol.lower(), f"{link}_PORT": str(port["port"]), f"{link}_ADDR": ip}
    return made


def _variable_name(name: str) -> str:
    return name.upper().replace("-", "_")
