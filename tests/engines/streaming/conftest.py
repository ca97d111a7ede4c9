"""A pod that serves HTTP, on running engines at each level, and the clients that stream from it."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kubernetes import client, config

from harness import eventually
from kubelab.home import Home

NAMESPACE = "streaming"
ASK_TERMINAL = (  # a program that waits until its terminal is 97 columns wide, and tells
    "import os, sys, time; end = time.monotonic() + 10\n"
    "while os.get_terminal_size(0).columns != 97 and time.monotonic() < end: time.sleep(0.02)\n"
    "print(sys.stdin.isatty(), os.get_terminal_size(0).columns)"
)
TIMEOUT = 40  # seconds for one command
SERVE = "python3 -u -m http.server 8000"


def container(name: str, *command: str, port: int = 0) -> dict:
    ports = [{"containerPort": port}] if port else []
    return {
        "name": name,
        "image": "kubelab/python",
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "ports": ports,
    }


def pod(name: str, *containers: dict, **spec: object) -> dict:
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 0, **spec},
    }


@dataclass(frozen=True)
class Lab:
    """`core` is the Python client; `kubectl(…)` runs the program."""

    home: Home
    core: client.CoreV1Api
    program: str = "kubectl"

    def kubectl(self, *argv: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.program, "-n", NAMESPACE, *argv],
            env={**os.environ, "KUBECONFIG": str(self.home.kubeconfig), "HOME": str(self.home.path)},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def in_terminal(self, *argv: str, columns: int) -> str:
        """What kubectl prints in a terminal of its own, which `script` gives it."""
        command = shlex.join([self.program, "-n", NAMESPACE, *argv])
        return subprocess.run(
            ["script", "-qec", f"stty cols {columns}; {command}", "/dev/null"],
            env={**os.environ, "KUBECONFIG": str(self.home.kubeconfig), "SHELL": "/bin/sh"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        ).stdout

    def ready(self, name: str) -> None:
        def is_ready() -> bool:
            conditions = self.core.read_namespaced_pod(name, NAMESPACE).status.conditions or []
            return any(each.type == "Ready" and each.status == "True" for each in conditions)

        eventually(is_ready, f"pod {name} is ready")

    def log(self, name: str, **options: object) -> str:
        return self.core.read_namespaced_pod_log(name, NAMESPACE, **options)


@pytest.fixture(scope="session")
def lab(engines: Home) -> Iterator[Lab]:
    """With the pod `web`, which logs and serves on port 8000, and the service `web`."""
    with config.new_client_from_config(str(engines.kubeconfig)) as connection:
        core = client.CoreV1Api(connection)
        core.create_namespace({"metadata": {"name": NAMESPACE}})
        web = container("main", *SERVE.split(), port=8000)
        web["readinessProbe"] = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
        core.create_namespaced_pod(NAMESPACE, pod("web", {**web, "workingDir": "/srv"}))
        service = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8000}]}
        core.create_namespaced_service(NAMESPACE, {"metadata": {"name": "web"}, "spec": service})
        found = Lab(engines, core)
        found.ready("web")
        yield found
        core.delete_namespace(NAMESPACE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    given = tmp_path / "given"
    given.write_text("from the host\n")
    return given
