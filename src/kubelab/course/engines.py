"""Find the engines that the notebooks talk to, or have them started by the `kubelab` command.

The embedded ones leave a kubeconfig and a Docker socket in `$KUBELAB_HOME`. A cluster of your own is used only when it
was chosen by name: `$KUBELAB_CONTEXT` is a context of your kubeconfig, and Docker is then what `docker.from_env` finds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client, config

from kubelab.home import Home

from .errors import LabError

START_TIMEOUT = 120  # seconds: a first start makes the base image


@dataclass(frozen=True)
class Engines:
    """Where the engines are. `docker_host` None: whatever `docker.from_env` finds."""

    embedded: bool
    kubeconfig: Path | None = None
    context: str | None = None
    docker_host: str | None = None

    def api_client(self) -> client.ApiClient:
        """A client of the cluster. LabError where the kubeconfig cannot be read."""
        try:
            return config.new_client_from_config(
                config_file=str(self.kubeconfig) if self.kubeconfig else None, context=self.context
            )
        except (config.ConfigException, OSError) as error:
            raise LabError(f"no usable kubeconfig ({error}). Next: run `kubelab doctor`.") from error


def find() -> Engines:
    """The engines that are chosen, running or not."""
    if context := os.environ.get("KUBELAB_CONTEXT"):
        return Engines(embedded=False, context=context)
    home = Home.from_environment()
    return Engines(embedded=True, kubeconfig=home.kubeconfig, docker_host=f"unix://{home.docker_socket}")


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
