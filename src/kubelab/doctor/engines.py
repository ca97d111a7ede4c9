"""The engines: which were chosen, whether they run, their ports, versions, timings."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kubelab.home import Home
from kubelab.lifecycle import LifecycleError, running
from kubelab.settings.addresses import SERVICE_NODE_PORT_RANGE, Addresses, node_host
from kubelab.settings.files import NODES
from kubelab.settings.profiles import in_force
from kubelab.supervisor.supervisor import STARTING

from .finding import Finding, State

TIMEOUT = 3.0  # seconds


def examine(home: Home) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The supervisor's status, and what was found."""
    chosen = os.environ.get("KUBELAB_CONTEXT")
    found = [
        Finding("engines", f"chosen: context {chosen} of your kubeconfig" if chosen else "chosen: the embedded ones")
    ]
    try:
        status = running(home)
    except LifecycleError as error:
        found.append(Finding("supervisor", str(error), State.FAILED, "Run `kubelab down`, then `kubelab up`."))
        return None, found
    if status is None:
        state = Finding("supervisor", f"not running (state in {home.path})", State.NOTE, "Run `kubelab up`.")
        return None, [*found, state, *_last_failure(home)]
    found.append(Finding("supervisor", f"running, state in {home.path}"))
    found += [_component(each) for each in status["components"]]
    found += [_api(home, status["server"]), _docker(home), _registry(home), *_node_ports(home, status["level"])]
    found.append(Finding("profile", status["profile"]))
    found += [Finding("", f"{name}: {value}") for name, value in in_force(status["profile"]).items()]
    return status, found


def _component(each: dict[str, Any]) -> Finding:
    text = f"{each['state']}, pid {each['pid'] or '-'}, restarts {each['restarts']}"
    facts = ", ".join(f"{key} {value}" for key, value in each["facts"].items())
    text += f" ({facts})" if facts else ""
    if each["state"] == "ready":
        return Finding(each["name"], text)
    if each["state"] == "lost":
        return Finding(each["name"], text, State.NOTE, f"Run `kubelab node start {each['name']}`.")
    advice = f"Its log: {each['log']}. {each['last_error']}".strip()
    return Finding(each["name"], text, State.FAILED, advice)


def _node_ports(home: Home, level: str) -> Iterator[Finding]:
    """Where services of type NodePort are reached from the host."""
    addresses = Addresses.of(level, home.path)
    for number, name in enumerate(NODES, 1):
        text = f"of {name} at {addresses.host_address(node_host(number))}:{SERVICE_NODE_PORT_RANGE}"
        yield Finding("node ports", text)


def _last_failure(home: Home) -> Iterator[Finding]:
    """Why the last start failed, where it did: the supervisor's log says it."""
    path = home.log / "supervisor.log"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    started = max((number for number, line in enumerate(lines) if f" I {STARTING}" in line), default=0)
    failed = [line for line in lines[started:] if " E " in line]
    if failed:
        yield Finding("last start", failed[-1], State.NOTE, f"The whole log: {path}")


def _api(home: Home, server: str) -> Finding:
    """Ask for its version, as a client would."""
    where = urlsplit(server)
    context = ssl.create_default_context(cafile=str(home.pki / "ca.crt"))
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", "/version")
        version = json.loads(connection.getresponse().read())["gitVersion"]
    except (OSError, ValueError, KeyError) as error:
        return Finding(
            "Kubernetes API", f"{server} does not answer: {error}", State.FAILED, "Run `kubelab logs control-plane`."
        )
    finally:
        connection.close()
    return Finding("Kubernetes API", f"{version} at {server}")


def _registry(home: Home) -> Finding:
    connection = http.client.HTTPConnection(home.registry_address, timeout=TIMEOUT)
    try:
        connection.request("GET", "/v2/")
        status = connection.getresponse().status
    except OSError as error:
        text = f"{home.registry_address} does not answer: {error}"
        return Finding("registry", text, State.FAILED, "Run `kubelab logs engine`.")
    finally:
        connection.close()
    return Finding("registry", f"{home.registry_address}, HTTP status {status}")


def _docker(home: Home) -> Finding:
    connection = http.client.HTTPConnection("docker", timeout=TIMEOUT)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT)
        connection.sock.connect(str(home.docker_socket))
        connection.request("GET", "/version")
        version = json.loads(connection.getresponse().read())
    except (OSError, ValueError) as error:
        return Finding(
            "Docker API", f"{home.docker_socket} does not answer: {error}", State.FAILED, "Run `kubelab logs engine`."
        )
    finally:
        connection.close()
    return Finding("Docker API", f"{version.get('ApiVersion')} at {home.docker_socket}")
