"""An API server without controllers and nodes, in a thread of the test's process, and its usual clients."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import secrets
import ssl
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


CONTEXT = os.environ.get("KUBELAB_TEST_CONTEXT", "")  # a context of the kubeconfig: the same tests on that cluster


@dataclass(frozen=True)
class Inside:
    """The embedded API server's insides, for tests that turn its screws."""

    home: Home
    server: APIServer
    loop: asyncio.AbstractEventLoop


@dataclass
class Cluster:
    """A cluster that answers: `kubeconfig` is a file whose current context it is, `client` a
    kubernetes.client.ApiClient. `inside` is None where it is not the embedded API server alone."""

    kubeconfig: Path
    client: kubernetes.client.ApiClient
    inside: Inside | None = None

    def _embedded(self) -> Inside:
        if self.inside is None:
            pytest.skip("looks inside the embedded API server")
        return self.inside

    @property
    def home(self) -> Home:
        return self._embedded().home

    @property
    def server(self) -> APIServer:
        return self._embedded().server

    @property
    def token(self) -> str:
        scheme, _, token = (self.client.configuration.get_api_key_with_prefix("authorization") or "").partition(" ")
        if scheme != "Bearer":
            pytest.skip("the context has no bearer token")
        return token

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a function in the server's thread."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._embedded().loop).result(20)

    @property
    def url(self) -> str:
        return self.client.configuration.host

    @property
    def core(self) -> kubernetes.client.CoreV1Api:
        return kubernetes.client.CoreV1Api(self.client)

    @property
    def apps(self) -> kubernetes.client.AppsV1Api:
        return kubernetes.client.AppsV1Api(self.client)

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.client.configuration.ssl_ca_cert)

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
        trust, own = self.trust, self.client.configuration
        if token is None and own.cert_file:
            trust.load_cert_chain(own.cert_file, own.key_file)
        elif token != "":
            headers["Authorization"] = f"Bearer {self.token if token is None else token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20, context=trust) as response:
                return response.status, response.headers, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read())

    def kubectl(self, *arguments: str, stdin: str = "", program: str = "kubectl") -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end; it has a cache of its own, so that discovery is asked for afresh."""
        cache = str(self.kubeconfig.parent / "cache")
        command = [program, "--kubeconfig", str(self.kubeconfig), "--cache-dir", cache, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The embedded API server without controllers and nodes; with KUBELAB_TEST_CONTEXT that context's cluster."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        yield from cluster_of_context(Path(folder)) if CONTEXT else _embedded(Path(folder))


def _embedded(folder: Path) -> Iterator[Cluster]:
    home = Home(folder).ensure()
    files.write(home, "process", "upstream")
    serving = _serving(home)
    with serving as server, client_of(home.kubeconfig) as client:
        yield Cluster(home.kubeconfig, client, Inside(home, server, serving.loop))


def cluster_of_context(folder: Path) -> Iterator[Cluster]:
    """Through a kubeconfig of the tests' own, in which the context is the current one."""
    kubeconfig = folder / "kubeconfig"
    command = ["kubectl", "config", "view", "--context", CONTEXT, "--minify", "--flatten", "--raw"]
    kubeconfig.touch(0o600)
    kubeconfig.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    with client_of(kubeconfig) as client:
        yield Cluster(kubeconfig, client)


@contextmanager
def client_of(kubeconfig: Path) -> Iterator[kubernetes.client.ApiClient]:
    client = kubernetes.config.new_client_from_config(str(kubeconfig))
    yield client
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
    """A namespace of the test's own, and in it the service account that a controller makes, where there is one."""
    name = f"kubelab-test-{secrets.token_hex(3)}" if CONTEXT else f"test-{next(numbers)}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    if cluster.inside is None:
        _until_accounted(cluster, name)
    else:
        cluster.core.create_namespaced_service_account(name, {"metadata": {"name": "default"}})
    yield name
    cluster.core.delete_namespace(name)


def _until_accounted(cluster: Cluster, namespace: str) -> None:
    watch = kubernetes.watch.Watch()
    for event in watch.stream(cluster.core.list_namespaced_service_account, namespace, timeout_seconds=30):
        if event["object"].metadata.name == "default":
            return watch.stop()
    raise AssertionError(f"nobody made a service account in {namespace}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if CONTEXT and (marker := item.get_closest_marker("embedded")):
        pytest.skip(f"on the embedded cluster alone: {marker.args[0]}")
