"""A kind cluster: its nodes are containers of a Docker Engine, reached through the docker SDK as kind itself does it.

kind: pkg/cluster/constants/constants.go (the labels), pkg/cluster/nodeutils/util.go (how images get in).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import docker
from docker.errors import DockerException
from docker.utils.socket import consume_socket_output, demux_adaptor, frames_iter

from .errors import LabError

CLUSTER, ROLE = "io.x-k8s.kind.cluster", "io.x-k8s.kind.role"
NODE_ROLES = ("control-plane", "worker")  # the third is the load balancer before several control planes
IMPORT = ["ctr", "--namespace=k8s.io", "images", "import", "--all-platforms", "--digests", "-"]


def nodes(engine: docker.DockerClient, cluster: str, *, all: bool = False) -> list[Any]:
    """The containers that are the cluster's nodes; with `all`, those that are switched off, too. LabError: none."""
    filters = {"label": f"{CLUSTER}={cluster}"}
    found = [node for node in engine.containers.list(all=all, filters=filters) if node.labels.get(ROLE) in NODE_ROLES]
    if not found:
        raise LabError(
            f"the Docker Engine has no node of the kind cluster {cluster!r}. "
            "Next: point DOCKER_HOST at the engine that it was made in, or run `kind create cluster`."
        )
    return sorted(found, key=lambda node: node.name)


def pipe(node: Any, command: Sequence[str], data: Iterable[bytes]) -> None:
    """`docker exec -i NODE COMMAND < data`. LabError with what the command wrote where it fails."""
    api = node.client.api
    id = api.exec_create(node.id, list(command), stdin=True, stdout=True, stderr=True)["Id"]
    stream = api.exec_start(id, socket=True)
    connection = getattr(stream, "_sock", stream)  # http.client wraps a unix socket, and TLS does not
    try:
        for chunk in data:
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
        frames = (demux_adaptor(*frame) for frame in frames_iter(stream, tty=False))
        output = b"".join(filter(None, consume_socket_output(frames, demux=True)))
    except OSError as error:
        raise LabError(f"{node.name}: the connection to `{command[0]}` was lost: {error}") from error
    finally:
        stream.close()
    if code := api.exec_inspect(id)["ExitCode"]:
        said = output.decode(errors="replace").strip()
        raise LabError(f"{node.name}: `{' '.join(command)}` ended with {code}: {said}")


class KindPlug:
    """Loses a worker by stopping its container, as if its power had failed: no signal is waited for."""

    def __init__(self, engine: Callable[[], docker.DockerClient], cluster: str) -> None:
        self._engine, self._cluster = engine, cluster

    def refusal(self) -> str:
        """Why no node can be lost here; "" where one can."""
        try:
            roles = [node.labels[ROLE] for node in nodes(self._engine(), self._cluster, all=True)]
        except (LabError, DockerException) as error:
            return str(error)
        if "worker" in roles:
            return ""
        return (
            f"the kind cluster {self._cluster!r} has a control plane and no worker: without that node there is no "
            "cluster. Next: make one with workers (kind create cluster --config, with `role: worker`)."
        )

    def command(self, action: str, name: str) -> str:
        return f"docker stop --time 0 {name}" if action == "stop" else f"docker start {name}"

    def actions(self) -> list[str]:
        return ["stop", "start"]

    def stop(self, name: str) -> None:
        self._worker(name).stop(timeout=0)

    def start(self, name: str) -> None:
        self._worker(name).start()

    def cut(self, name: str) -> None:
        raise LabError("a worker of kind cannot be cut off from here; it can be stopped.")

    def _worker(self, name: str) -> Any:
        node = next((node for node in nodes(self._engine(), self._cluster, all=True) if node.name == name), None)
        if node is None:
            raise LabError(f"there is no node {name} in the kind cluster {self._cluster!r}.")
        if node.labels[ROLE] != "worker":
            raise LabError(f"{name} is the control plane: without it there is no cluster. Next: stop a worker.")
        return node
