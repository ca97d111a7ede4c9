"""An API server without controllers and nodes, in a thread of the test's process, and its usual clients."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import kubernetes
import pytest

from kubelab.clock import RealClock
from kubelab.cluster.apiserver.config import Config
from kubelab.cluster.apiserver.server import APIServer
from kubelab.cluster.controlplane import api_server
from kubelab.home import Home
from kubelab.settings import files

numbers = itertools.count(1)


@dataclass
class Cluster:
    """A running API server: `kubeconfig` is a file, `client` a kubernetes.client.ApiClient."""

    home: Home
    server: APIServer
    client: kubernetes.client.ApiClient
    token: str
    loop: asyncio.AbstractEventLoop

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the server's thread."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        return kubernetes.client.CoreV1Api(self.client)

    @property
    def apps(self) -> kubernetes.client.AppsV1Api:
        return kubernetes.client.AppsV1Api(self.client)

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.home.pki / "ca.crt"))

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "*/*",
        token: str | None = None,
        **more: str,
    ) -> tuple[int, Message, Any]:
        """A request without a client library in between: code, headers, decoded body. `more` are headers; `token` ""
        is anonymous."""
        headers = {"Content-Type": content_type, "Accept": accept, **{k.replace("_", "-"): v for k, v in more.items()}}
        if token != "":
            headers["Authorization"] = f"Bearer {self.token if token is None else token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.trust) as response:
                return response.status, response.headers, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read())

    def kubectl(self, *arguments: str, stdin: str = "", program: str = "kubectl") -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end; it has a cache of its own, so that discovery is asked for afresh."""
        cache = str(self.home.path / "cache")
        command = [program, "--kubeconfig", str(self.home.kubeconfig), "--cache-dir", cache, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        settings = files.write(home, "process", "upstream")
        server_thread = _serving(home)
        with server_thread as server:
            client = kubernetes.config.new_client_from_config(str(home.kubeconfig))
            yield Cluster(home, server, client, settings.tokens["admin"], server_thread.loop)
            client.close()


class _serving:
    """Runs the server in a thread's event loop for as long as the block lasts."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> APIServer:
        self._thread.start()
        assert self._started.wait(20), "the API server did not start"
        return self._server

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    async def _run(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        config = Config.load(self._home.component_config("kube-apiserver"))
        async with api_server(config, self._home.store, RealClock()) as self._server:
            self._started.set()
            await self._stop.wait()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, with the service account that a controller would make."""
    name = f"test-{next(numbers)}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    cluster.core.create_namespaced_service_account(name, {"metadata": {"name": "default"}})
    yield name
    cluster.core.delete_namespace(name)
