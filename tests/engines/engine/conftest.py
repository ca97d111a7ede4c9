"""A Docker engine over a runtime daemon, for each level that works here.

With KUBELAB_TEST_DOCKER_HOST the same tests run against that engine (a real dockerd) instead; the base image is loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from engines.engine.levels import LEVELS, REAL
from engines.engine.real_engine import RealEngine, base_tar, import_base, running_dockerd, tidy
from kubelab.home import Home
from kubelab.images.base import ensure_base_image
from kubelab.images.store import ImageStore
from kubelab.runtime.api import Level
from kubelab.runtime.levels import explain, try_namespaces

DEADLINE = 20  # seconds
SETTINGS = {
    Level.NAMESPACES: {"address": "172.31.0.2/24", "bridge": "172.17.0.0/16"},
    Level.PROCESS: {"address": "127.214.0.2/24", "bridge": "127.214.9.0/24"},
}


@dataclass(frozen=True)
class Running:
    """An engine: `home` is None where it is a real one."""

    host: str
    level: Level
    home: Home | None


@pytest.fixture(scope="session", params=LEVELS)
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    if REAL:
        _load_base_image(REAL)
        yield Running(REAL, Level.NAMESPACES, None)
        return
    with running_embedded(request.param) as engine:
        yield engine


@contextlib.contextmanager
def running_embedded(level: Level) -> Iterator[Running]:
    """An engine of ours and its runtime; the test is skipped where the level does not work."""
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        if level == Level.NAMESPACES and not (attempt := try_namespaces(home.path / "try")).works:
            pytest.skip(explain(attempt))
        home.component_config("engine").write_text(json.dumps(SETTINGS[level]))
        with component(home, "kubelab.runtime", level), component(home, "kubelab.engine", level):
            yield Running(f"unix://{home.docker_socket}", level, home)


@contextlib.contextmanager
def component(home: Home, module: str, level: Level) -> Iterator[subprocess.Popen[bytes]]:
    reader, writer = os.pipe()
    env = os.environ | {"KUBELAB_HOME": str(home.path), "KUBELAB_RUNTIME": level, "KUBELAB_READY_FD": str(writer)}
    env["KUBELAB_PARENT"] = str(os.getpid())  # it ends with the tests, however they end
    process = subprocess.Popen([sys.executable, "-m", module], env=env, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as ready:
        assert ready.read(), f"{module} ended before it was ready"
    try:
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _load_base_image(host: str) -> None:
    folder = tempfile.mkdtemp(prefix="kl-images-")
    try:
        store = ImageStore(Path(folder))
        ensure_base_image(store)
        with tempfile.TemporaryFile() as archive:
            store.save(["kubelab/python"], archive)
            archive.seek(0)
            docker.DockerClient(base_url=host).images.load(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def client(running: Running) -> Iterator[docker.DockerClient]:
    """The docker SDK; afterwards every image but the base image is gone."""
    with contextlib.closing(docker.DockerClient(base_url=running.host)) as sdk:
        yield sdk
        for image in sdk.images.list():
            for tag in image.tags:
                if tag != "kubelab/python:latest":
                    sdk.images.remove(tag, force=True)
        sdk.images.prune()


# -- the same test on both engines


@pytest.fixture(scope="session")
def real_engine() -> Iterator[RealEngine]:
    """A dockerd for the whole session, with the base image in it."""
    if os.geteuid():  # asked first: /usr/sbin is not on an ordinary user's PATH
        pytest.skip("a dockerd is started by root only")
    if not shutil.which("dockerd"):
        pytest.skip("dockerd is not on PATH")
    with running_dockerd() as engine:
        with contextlib.closing(docker.DockerClient(base_url=engine.host)) as client:
            import_base(client, base_tar())
        yield engine


@pytest.fixture(scope="session")
def embedded_engine() -> Iterator[Running]:
    """An embedded engine at the level namespaces for the whole session, with the same base image in it."""
    with running_embedded(Level.NAMESPACES) as engine:
        with contextlib.closing(docker.DockerClient(base_url=engine.host)) as client:
            import_base(client, base_tar())
        yield engine


@pytest.fixture(
    params=["embedded", pytest.param("host", marks=pytest.mark.requires("dockerd"))],
)
def engine_client(request: pytest.FixtureRequest) -> Iterator[docker.DockerClient]:
    """The docker SDK on one engine after the other; afterwards only the base images are left."""
    engine = request.getfixturevalue("embedded_engine" if request.param == "embedded" else "real_engine")
    with contextlib.closing(docker.DockerClient(base_url=engine.host, timeout=DEADLINE * 3)) as client:
        yield client
        tidy(client)


@pytest.fixture
def both_engines(embedded_engine: Running, real_engine: RealEngine) -> Iterator[dict[str, docker.DockerClient]]:
    """The docker SDK on both, as "embedded" and "host". Tests that use it are marked `requires("dockerd")`."""
    with contextlib.ExitStack() as stack:
        clients = {
            name: stack.enter_context(contextlib.closing(docker.DockerClient(base_url=host, timeout=DEADLINE * 3)))
            for name, host in {"embedded": embedded_engine.host, "host": real_engine.host}.items()
        }
        yield clients
        for client in clients.values():
            tidy(client)
