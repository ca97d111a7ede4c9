"""How a container is shown: `docker ps` and `docker inspect`.

Upstream: moby's daemon/{list,inspect}.go, container/state.go (the words of STATUS) and docker/go-units (durations).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubelab.engine.containers_config import listed_mounts
from kubelab.engine.containers_record import NEVER, Container
from kubelab.engine.errors import DockerError
from kubelab.engine.images import graph_driver, seconds
from kubelab.images.store import ImageNotFound, ImageStore

FILTERS = ("id", "name", "status", "label", "ancestor", "exited", "before", "since", "network", "volume", "health")
STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")


def human_duration(elapsed: float) -> str:
    """`About a minute`, `3 hours`: a duration in seconds as Docker says it."""
    if elapsed < 1:
        return "Less than a second"
    for limit, one, unit, divisor in (
        (60, "1 second", "seconds", 1),
        (3600, "About a minute", "minutes", 60),
        (48 * 3600, "About an hour", "hours", 3600),
        (14 * 86400, "1 day", "days", 86400),
        (60 * 86400, "1 week", "weeks", 7 * 86400),
        (730 * 86400, "1 month", "months", 30 * 86400),
    ):
        if elapsed < limit:
            count = int(elapsed / divisor)
            return one if count == 1 else f"{count} {unit}"
    return f"{int(elapsed / (365 * 86400))} years"


def status_words(container: Container) -> str:
    """The STATUS column."""
    if container.running:
        return f"Up {_since(container.started_at)}"
    if container.status == "exited":
        return f"Exited ({container.exit_code}) {_since(container.finished_at)} ago"
    return "Created"


def _since(moment: str) -> str:
    # fromisoformat takes six decimals at most; the zone is always UTC here
    started = datetime.fromisoformat(moment[:26].rstrip("Z")).replace(tzinfo=UTC)
    return human_duration((datetime.now(UTC) - started).total_seconds())


# -- docker ps


def summary(container: Container, size: tuple[int, int] | None) -> dict[str, Any]:
    """One line of `GET /containers/json`; `size` is (writable layer, with the image) in bytes."""
    config = container.config
    answer = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image,
        "ImageID": container.image_id,
        "Command": " ".join([*(config["Entrypoint"] or ()), *(config["Cmd"] or ())]),
        "Created": seconds(container.created),
        "Ports": _port_list(container),
        "Labels": config["Labels"],
        "State": container.status,
        "Status": status_words(container),
        "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": _endpoint(container)}},
        "Mounts": _mounts(container),
    }
    if size is not None:
        answer["SizeRw"], answer["SizeRootFs"] = size
    return answer


def _port_list(container: Container) -> list[dict[str, Any]]:
    if not container.running:
        return []
    bindings = container.ports.bindings if container.ports else {}
    ports: list[dict[str, Any]] = []
    for key in sorted({*container.config["ExposedPorts"], *bindings}, key=lambda key: int(key.split("/")[0])):
        number, _, protocol = key.partition("/")
        line = {"PrivatePort": int(number), "Type": protocol or "tcp"}
        found = bindings.get(key) or []
        ports += [{"IP": b["HostIp"], "PublicPort": int(b["HostPort"]), **line} for b in found] or [line]
    return ports


def select(
    containers: list[Container], filters: dict[str, list[str]], everything: bool, store: ImageStore
) -> list[Container]:
    """The containers that pass the filters, newest first. Raises DockerError 400 for a value that cannot be."""
    for status in filters.get("status", []):
        if status not in STATUSES:
            raise DockerError(400, f"invalid filter 'status={status}'")
    images = _ancestors(filters, store)
    shown = [
        container
        for container in sorted(containers, key=lambda each: each.created, reverse=True)
        if (everything or container.running or "status" in filters or "exited" in filters)
        and _passes(container, filters, images)
    ]
    for name, newer in (("since", True), ("before", False)):
        for value in filters.get(name, []):
            bound = next((each for each in containers if value in (each.id, each.name, each.id[: len(value)])), None)
            if bound is None:
                raise DockerError(404, f"No such container: {value}")
            shown = [each for each in shown if each is not bound and (each.created > bound.created) == newer]
    return shown


def _ancestors(filters: dict[str, list[str]], store: ImageStore) -> set[str]:
    """IDs of the images that `ancestor` names, and of those made from them."""
    found: set[str] = set()
    for name in filters.get("ancestor", []):
        try:
            found.add(store.resolve(name).id)
        except ImageNotFound:
            continue
    waiting = list(found)
    while waiting:
        children = [child for child in store.children(waiting.pop()) if child not in found]
        found.update(children)
        waiting += children
    return found


def _passes(container: Container, filters: dict[str, list[str]], images: set[str]) -> bool:
    labels = container.config["Labels"]
    checks = {
        "id": lambda value: container.id.startswith(value),
        "name": lambda value: value.removeprefix("/") in container.name,
        "status": lambda value: container.status == value,
        "exited": lambda value: container.status == "exited" and str(container.exit_code) == value,
        "ancestor": lambda _: container.image_id in images,
        "network": lambda value: value == "bridge",
        "volume": lambda value: any(value in (m["Source"], m["Destination"]) for m in _mounts(container)),
        "health": lambda value: value == "none",
    }
    for label in filters.get("label", []):
        name, equals, value = label.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return all(any(map(check, filters[name])) for name, check in checks.items() if name in filters)


# -- docker inspect


def inspect(container: Container, store: ImageStore, size: tuple[int, int] | None) -> dict[str, Any]:
    argv = [*(container.config["Entrypoint"] or ()), *(container.config["Cmd"] or ())]
    answer = {
        "Id": container.id,
        "Created": container.created,
        "Path": argv[0],
        "Args": argv[1:],
        "State": _state(container),
        "Image": container.image_id,
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": str(container.log_path),
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": container.host_config,
        "GraphDriver": _graph_driver(container, store),
        "Mounts": _mounts(container),
        "Config": container.config,
        "NetworkSettings": _network_settings(container),
    }
    if size is not None:
        answer["SizeRw"], answer["SizeRootFs"] = size
    return answer


def _state(container: Container) -> dict[str, Any]:
    return {
        "Status": container.status,
        "Running": container.running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": container.oom_killed,
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": container.started_at if container.started_at else NEVER,
        "FinishedAt": container.finished_at,
    }


def _graph_driver(container: Container, store: ImageStore) -> dict[str, Any]:
    try:
        return graph_driver(store, store.get_image(container.image_id))
    except ImageNotFound:
        return {"Name": "overlay2", "Data": None}


def _mounts(container: Container) -> list[dict[str, Any]]:
    return [
        {
            "Type": "bind",
            "Source": mount.host_path,
            "Destination": mount.container_path,
            "Mode": "ro" if mount.readonly else "",
            "RW": not mount.readonly,
            "Propagation": "rprivate",
        }
        for mount in listed_mounts(container.host_config)
    ]


def _endpoint(container: Container) -> dict[str, Any]:
    ip = container.ip if container.running else ""
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": None,
        "NetworkID": "bridge",
        "EndpointID": container.sandbox_id if container.running else "",
        "Gateway": "",
        "IPAddress": ip,
        "IPPrefixLen": 16 if ip else 0,
        "MacAddress": "",
        "DriverOpts": None,
    }


def _network_settings(container: Container) -> dict[str, Any]:
    endpoint = _endpoint(container)
    bindings = container.ports.bindings if container.ports and container.running else {}
    exposed = dict.fromkeys(container.config["ExposedPorts"]) if container.running else {}
    return {
        "Bridge": "",
        "SandboxID": container.sandbox_id,
        "SandboxKey": "",
        "Ports": {**exposed, **bindings},
        "EndpointID": endpoint["EndpointID"],
        "Gateway": "",
        "IPAddress": endpoint["IPAddress"],
        "IPPrefixLen": endpoint["IPPrefixLen"],
        "MacAddress": "",
        "Networks": {"bridge": endpoint},
    }
