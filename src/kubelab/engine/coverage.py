"""What of Docker's API is served and honoured: the engine's part of COVERAGE.md (`python tools/write_coverage.py`).

Everything in it comes from the tables that the routes work by. A test holds the committed file up to date.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from kubelab.engine import app, build, containers, containers_config, containers_limits, system
from kubelab.engine.engine import Engine, Settings
from kubelab.home import Home
from kubelab.images.store import ImageStore
from kubelab.runtime.client import RuntimeClient

# What clients may ask for and do not get, and the answer.
NOT_SERVED = {
    "BuildKit (`/session`, `/grpc`, `version=2`)": "501: the builder is the classic one, whose layers are the course's",
    "Swarm (`/swarm/init`, services, nodes, secrets, configs)": "503, as a dockerd that is no swarm manager; 501 to "
    "`init` and `join`",
    "Plugins (the list is empty), checkpoints, `platform` of create, load and save": "404 or 501 by name",
    "IPv6 and link-local addresses of networks": "400 by name",
    "A git repository as a build's context": "501: clone it, and build from its folder",
    "Images of other platforms": "pulled and kept; no emulator runs them",
}


def document() -> str:
    parts = [
        "## The Docker Engine",
        _introduction(),
        "### Requests",
        _requests(),
        "### Fields of containers",
        _fields(),
    ]
    parts += ["### Not served", _not_served()]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _introduction() -> str:
    return (
        f"API {system.API_VERSION}, and clients from {system.MIN_API_VERSION} on. A parameter or field that is not "
        "honoured is refused by its name (400, 501), unless it has its default."
    )


def _requests() -> str:
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Home(Path(folder)), ImageStore(Path(folder)), RuntimeClient(Path(folder)), Settings())
        for module in app.MODULES:
            for route in module.routes(engine):
                found.setdefault(route.path.split("/")[1].split("{")[0], []).append(f"`{route.method} {route.path}`")
    rows = ["| about | requests |", "| --- | --- |"]
    return "\n".join(rows + [f"| {about} | {', '.join(sorted(routes))} |" for about, routes in sorted(found.items())])


def _fields() -> str:
    harmless, discarded = containers_config.HARMLESS, containers_limits.DISCARDED
    host = containers_config.HOST_HONOURED - set(discarded)
    refused = set(containers_config.HOST_DEFAULTS) - containers_config.HOST_HONOURED - set(harmless)
    rows = {
        "Config, honoured": containers_config.CONFIG_HONOURED,
        "HostConfig, honoured": host,
        "HostConfig, taken where it asks for what is there anyway": harmless,
        "HostConfig, discarded with dockerd's warning, as where a kernel has it not": discarded,
        "HostConfig, refused where it is not the default": refused,
        "`docker update`": containers.UPDATABLE,
        "`docker build`, refused": build.NOT_HONOURED,
    }
    lines = [f"| {what} | {', '.join(f'`{name}`' for name in sorted(names))} |" for what, names in rows.items()]
    return "\n".join(["| what | fields |", "| --- | --- |", *lines])


def _not_served() -> str:
    return "\n".join(
        ["| what | answer |", "| --- | --- |", *(f"| {what} | {how} |" for what, how in NOT_SERVED.items())]
    )
