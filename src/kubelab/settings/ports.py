"""The ports that the engines listen on: free ones, found once and kept, so that kubeconfigs stay valid."""

from __future__ import annotations

import json
import socket

from kubelab.home import Home

NAMES = ("kube-apiserver", "registry")


def kept_ports(home: Home) -> dict[str, int]:
    """Name -> port on 127.0.0.1. A port that somebody else has taken meanwhile is replaced."""
    path = home.config / "ports.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    ports = {name: known[name] if _free(known.get(name)) else _any_free() for name in NAMES}
    if ports != known:
        path.write_text(json.dumps(ports) + "\n")
    return ports


def _free(port: int | None) -> bool:
    if port is None:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free to a server
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
