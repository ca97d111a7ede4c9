"""Where one user's engines keep their state: `$KUBELAB_HOME`, laid out.

Every path that two components share is named here once, so that no component guesses another's file names.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Home:
    """The state folder. Made by `ensure()` with mode 0700: tokens, keys and sockets live in it."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`$KUBELAB_HOME`, else the XDG state folder (`~/.local/state/kubelab`)."""
        chosen = os.environ.get("KUBELAB_HOME")
        return cls(Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_state_dir("kubelab")))

    def ensure(self) -> Home:
        for folder in (self.path, self.run, self.log, self.config, self.pki, self.cluster, self.images, self.engine):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        return self

    # -- shared by all
    lock = property(lambda self: self.path / "lock")
    run = property(lambda self: self.path / "run")  # <component>.pid
    log = property(lambda self: self.path / "log")  # <component>.log
    config = property(lambda self: self.path / "config")  # <component>.json, in upstream's field names
    supervisor_socket = property(lambda self: self.path / "supervisor.sock")

    # -- images, runtime, engine
    images = property(lambda self: self.path / "images")
    runtime_socket = property(lambda self: self.path / "runtime.sock")
    runtime = property(lambda self: self.path / "runtime")  # <container id>/{upper,work,rootfs}
    engine = property(lambda self: self.path / "engine")
    registry = property(lambda self: self.path / "registry")  # what was pushed to the lab's own one
    docker_socket = property(lambda self: self.path / "docker.sock")

    # -- cluster
    cluster = property(lambda self: self.path / "cluster")
    store = property(lambda self: self.path / "cluster" / "store.db")
    pki = property(lambda self: self.path / "pki")
    kubeconfig = property(lambda self: self.path / "kubeconfig")

    def shell_variables(self) -> dict[str, str]:
        """What `kubectl` and `docker` need to find the engines, in any shell."""
        return {"KUBECONFIG": str(self.kubeconfig), "DOCKER_HOST": f"unix://{self.docker_socket}"}

    @property
    def registry_address(self) -> str:
        """`localhost:PORT` of the lab's own registry; "" before the first start."""
        try:
            return f"localhost:{json.loads((self.config / 'ports.json').read_bytes())['registry']}"
        except (OSError, KeyError, ValueError):
            return ""

    def component_kubeconfig(self, component: str) -> Path:
        """The kubeconfig with which a component (`node-1`, `controller-manager`, …) reaches the API server."""
        return self.config / f"{component}.kubeconfig"

    def component_config(self, component: str) -> Path:
        return self.config / f"{component}.json"

    def node(self, name: str) -> Path:
        """A node agent's own folder: `pods/<uid>/`, container logs."""
        return self.path / "nodes" / name
