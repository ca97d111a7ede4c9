"""Find the engines that the notebooks talk to, or have them started by the `kubelab` command.

The embedded ones leave a kubeconfig and a Docker socket in `$KUBELAB_HOME`. A cluster of your own is used only when it
was chosen by name: `$KUBELAB_CONTEXT` is a context of your kubeconfig. Which Docker Engine is used is a choice of its
own (`kubelab.settings.docker_engine`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import urllib3
from kubernetes import client, config

from kubelab.home import Home
from kubelab.settings import docker_engine

from .errors import LabError

CONNECTIONS = 40  # threads that ask at the same time: watches, loads, the labs
START_TIMEOUT = 120  # seconds: a first start makes the base image
KIND = "kind-"  # how kind names its contexts


@dataclass(frozen=True)
class Engines:
    """Where the engines are. `embedded`: the cluster is the course's own."""

    embedded: bool
    home: Home
    kubeconfig: Path | None = None
    context: str | None = None

    @property
    def kind(self) -> str:
        """The name of the kind cluster; "" where it is none."""
        return (self.context or "").removeprefix(KIND) if (self.context or "").startswith(KIND) else ""

    def api_client(self) -> client.ApiClient:
        """A client of the cluster. LabError where the kubeconfig cannot be read."""
        try:
            made = config.new_client_from_config(
                config_file=str(self.kubeconfig) if self.kubeconfig else None, context=self.context
            )
            # urllib3 warns of connections that it gives up and of requests that it tries again, in whatever cell is
            # running: so a connection a thread, and who asks decides whether to ask again.
            made.configuration.connection_pool_maxsize = CONNECTIONS
            made.configuration.retries = urllib3.Retry(0)
            return client.ApiClient(made.configuration)
        except (config.ConfigException, OSError) as error:
            raise LabError(f"no usable kubeconfig ({error}). Next: run `kubelab doctor`.") from error

    def docker_address(self, choice: docker_engine.Choice | None = None) -> docker_engine.Address:
        """The Docker Engine to use now, or with that choice. LabError where the one that was chosen does not answer."""
        try:
            return docker_engine.resolve(self.home, choice)
        except docker_engine.NoEngine as error:
            raise LabError(str(error)) from error


def find() -> Engines:
    """The engines that are chosen, running or not."""
    home = Home.from_environment()
    if context := os.environ.get("KUBELAB_CONTEXT"):
        return Engines(embedded=False, home=home, context=context)
    return Engines(embedded=True, home=home, kubeconfig=home.kubeconfig)


def start() -> None:
    """`kubelab up --profile class`, which returns when the engines are ready and does nothing where they are."""
    command = [sys.executable, "-m", "kubelab.cli", "up", "--profile", "class"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_TIMEOUT, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"the engines did not start in {START_TIMEOUT} s. Next: run `kubelab doctor`.") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"the engines did not start. Next: run `kubelab doctor`.\n`kubelab up` said: {said}")
