"""An engine that is killed: what it leaves is taken away by the next, and nothing that was built is lost."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
from pathlib import Path

import docker
import pytest
import requests

from engines.engine.conftest import DEADLINE, component
from engines.engine.levels import REAL
from harness_images import make_tar
from kubelab.home import Home
from kubelab.runtime.api import Level
from kubelab.runtime.client import RuntimeClient

pytestmark = pytest.mark.skipif(bool(REAL), reason="a real engine is not ours to kill")


@pytest.mark.timeout(60)
async def test_build_of_a_killed_engine_leaves_no_container():
    with tempfile.TemporaryDirectory(prefix="kl-", dir="/tmp") as folder:
        home = Home(Path(folder)).ensure()
        with component(home, "kubelab.runtime", Level.NAMESPACES):
            with component(home, "kubelab.engine", Level.NAMESPACES) as engine:
                printed = threading.Event()
                building = threading.Thread(target=_build, args=(home, printed))
                building.start()
                assert printed.wait(DEADLINE), "the build did not come to its RUN"
                engine.send_signal(signal.SIGKILL)
                engine.wait(DEADLINE)
                building.join(DEADLINE)
            async with RuntimeClient(home.runtime_socket) as runtime:
                assert len(await runtime.list_containers()) == 1
                with component(home, "kubelab.engine", Level.NAMESPACES):
                    assert await runtime.list_containers() == []
                    assert await runtime.list_pod_sandbox() == []
                    assert not (home.engine / "builds").exists()
                    kept = docker.DockerClient(base_url=f"unix://{home.docker_socket}").images.list(all=True)
                    assert len(kept) == 2  # kubelab/python, and the step that was done


def _build(home: Home, printed: threading.Event) -> None:
    client = docker.DockerClient(base_url=f"unix://{home.docker_socket}")
    context = make_tar({"Dockerfile": "FROM kubelab/python\nENV A=1\nRUN echo running; sleep 600\n"})
    with contextlib.suppress(requests.RequestException, ConnectionError):
        stream = client.api._post(client.api._url("/build"), data=context, stream=True)
        for line in stream.iter_lines():
            if line == b'{"stream":"running\\n"}':
                printed.set()
