"""A kubelet's server and an API server's connecting routes, around a pod whose "container" is the test's own machine.

Only the runtime and the stored objects are stand-ins; the servers, the protocols between them and the clients are real.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import socket
import struct
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from kubelab.clock import RealClock
from kubelab.cluster.apiserver import requestinfo
from kubelab.cluster.apiserver.connect import Connector
from kubelab.cluster.apiserver.errors import StatusError, not_found
from kubelab.cluster.kubelet.server import KubeletServer
from kubelab.runtime.api import ContainerConfig, ContainerState, ContainerStatus, RuntimeServiceError
from kubelab.runtime.logs import LogWriter

TOKEN = "a-token-of-the-node"


class LocalSession:
    """runtime.client.ExecSession, of a process on this machine."""

    def __init__(self, process: asyncio.subprocess.Process, stdin: int | None, stdout: int, stderr: int | None) -> None:
        self._process, self.pid = process, process.pid
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        for descriptor in {stdin, stdout, stderr} - {None}:
            os.set_blocking(descriptor, False)

    async def __aenter__(self) -> LocalSession:
        return self

    async def __aexit__(self, *_: object) -> None:
        for descriptor in {self.stdin, self.stdout, self.stderr} - {None}:
            os.close(descriptor)

    def close_stdin(self) -> None:
        if self.stdin is not None and self.stdin != self.stdout:
            os.close(self.stdin)
            self.stdin = None

    async def wait(self) -> int:
        code = await self._process.wait()
        return 128 - code if code < 0 else code

    async def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.stdout, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def kill(self, signum: int) -> None:
        self._process.send_signal(signum)


class LocalRuntime:
    """runtime.client.RuntimeClient, of which the kubelet's server needs only this."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.state = ContainerState.RUNNING
        self.sessions: list[LocalSession] = []
        self.stdin, self._stdin_end = os.pipe()

    def status(self) -> ContainerStatus:
        config = ContainerConfig("main", "sha256:0", ("sleep",), log_path=str(self.log), stdin=True)
        return ContainerStatus("c0ffee", "5a4db0", config, self.state, "")

    async def container_status(self, _: str) -> ContainerStatus:
        return self.status()

    async def attach_stdin(self, _: str) -> int:
        return os.dup(self._stdin_end)

    async def exec(self, _: str, argv: list[str], *, tty: bool, stdin: bool, **__: Any) -> LocalSession:
        try:
            session = await (self._on_terminal(argv) if tty else self._on_pipes(argv, stdin))
        except (FileNotFoundError, PermissionError) as error:
            message = f'exec: "{argv[0]}": executable file not found in $PATH'
            raise RuntimeServiceError("Unknown", message) from error
        self.sessions.append(session)
        return session

    async def _on_terminal(self, argv: list[str]) -> LocalSession:
        master, slave = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        return LocalSession(process, master, master, None)

    async def _on_pipes(self, argv: list[str], stdin: bool) -> LocalSession:
        ends = [os.pipe() for _ in range(3)]
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=ends[0][0] if stdin else asyncio.subprocess.DEVNULL, stdout=ends[1][1], stderr=ends[2][1]
        )
        for used in (ends[0][0], ends[1][1], ends[2][1]):
            os.close(used)
        if not stdin:
            os.close(ends[0][1])
        return LocalSession(process, ends[0][1] if stdin else None, ends[1][0], ends[2][0])

    async def dial(self, where: str, host: str, port: int, seconds: float) -> Any:
        return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), seconds)

    def end(self) -> None:
        for session in self.sessions:
            if session._process.returncode is None:
                os.kill(session.pid, signal.SIGKILL)


class LocalKubelet:
    """cluster.kubelet.kubelet.Kubelet, as its server sees it."""

    def __init__(self, runtime: LocalRuntime) -> None:
        self.runtime, self.clock = runtime, RealClock()
        self.config = SimpleNamespace(serverToken=TOKEN, port=0, nodeName="node-1")

    async def container(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> ContainerStatus:
        if previous:
            raise KeyError(f'previous terminated container "{container}" in pod "{pod}" not found')
        if container != "main":
            raise KeyError(f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
        return self.runtime.status()

    async def sandbox(self, namespace: str, pod: str) -> Any:
        return SimpleNamespace(id="5a4db0", ip="127.0.0.1")


def pod(name: str, *containers: str, ip: str = "127.0.0.1", port: int = 80) -> dict[str, Any]:
    listed = [{"name": c, "image": "x", "ports": [{"containerPort": port}]} for c in containers]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": "1", "resourceVersion": "1"},
        "spec": {"nodeName": "node-1", "containers": listed},
        "status": {"phase": "Running", "podIP": ip},
    }


@dataclass
class Cluster:
    """What a test sees: the objects, the runtime's double, and how clients reach the API server."""

    runtime: LocalRuntime
    objects: dict[tuple[str, str], dict[str, Any]]
    url: str = ""
    kubeconfig: Path = field(default_factory=Path)

    def log(self, *lines: str) -> None:
        writer = LogWriter(str(self.runtime.log))
        writer.write("stdout", "".join(line + "\n" for line in lines).encode())

    async def kubectl(self, *argv: str, stdin: bytes | None = None, program: str = "kubectl") -> tuple[int, str, str]:
        """Run kubectl to its end: (exit code, stdout, stderr)."""
        process = await asyncio.create_subprocess_exec(
            program,
            f"--kubeconfig={self.kubeconfig}",
            f"--cache-dir={self.kubeconfig.parent}/cache",
            *argv,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 30)
        # The server's first, empty message may overtake kubectl's own set-up, which it then logs (client-go:
        # tools/remotecommand/websocket.go); that is so with upstream's servers, too.
        said = [
            line for line in err.decode().splitlines(keepends=True) if "Unknown stream id 1, discarding" not in line
        ]
        return process.returncode or 0, out.decode(), "".join(said)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    runtime = LocalRuntime(tmp_path / "0.log")
    kubelet = KubeletServer(LocalKubelet(runtime))  # type: ignore[arg-type]
    host, port = await kubelet.start()
    node = {"metadata": {"name": "node-1", "annotations": {"kubelab.dev/kubelet-endpoint": f"{host}:{port}"}}}
    cluster = Cluster(runtime, {("nodes", "node-1"): node, ("pods", "web"): pod("web", "main")})
    runner = web.AppRunner(api(cluster), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster.url = "http://127.0.0.1:{1}".format(*runner.addresses[0])
    cluster.kubeconfig = kubeconfig(tmp_path / "kubeconfig", cluster.url)
    yield cluster
    runtime.end()
    await runner.cleanup()
    await kubelet.stop()


def api(cluster: Cluster) -> web.Application:
    """As much of an API server as kubectl wants before it connects: discovery of pods, and GET of what is stored."""

    def get(resource: Any, namespace: str, name: str) -> dict[str, Any]:
        if (resource.plural, name) not in cluster.objects:
            raise not_found(resource, name)
        return cluster.objects[resource.plural, name]

    connector = Connector(get, lambda _: TOKEN)

    async def handle(request: web.Request) -> web.StreamResponse:
        info = requestinfo.parse(request.method, request.rel_url.raw_path)
        try:
            if info is None:
                status = 200 if request.path in DISCOVERY else 404
                return web.json_response(DISCOVERY.get(request.path, {}), status=status)
            if connector.serves(info):
                return await connector.handle(request, info)
            return web.json_response(get(info.resource, info.namespace, info.name))
        except StatusError as error:
            return web.json_response(error.body, status=error.code)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    return application


DISCOVERY: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"]},
            {"name": "services", "singularName": "service", "namespaced": True, "kind": "Service", "verbs": ["get"]},
        ],
    },
}


def kubeconfig(path: Path, url: str) -> Path:
    path.write_text(
        f"""apiVersion: v1
kind: Config
clusters: [{{name: test, cluster: {{server: "{url}"}}}}]
users: [{{name: test, user: {{token: of-the-client}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
current-context: test
"""
    )
    return path


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
