"""How a container is shown: `docker ps` and `docker inspect`.

Upstream: moby's daemon/{list,inspect}.go, container/state.go (the words of STATUS) and docker/go-units (durations).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from kubelab.engine.containers_record import NEVER, Container
from kubelab.engine.errors import DockerError
from kubelab.engine.images import graph_driver, seconds
from kubelab.engine.networks import BUILTIN
from kubelab.images.store import ImageNotFound, ImageStore

FILTERS = (
    "id",
    "name",
    "status",
    "label",
    "ancestor",
    "exited",
    "before",
    "since",
    "network",
    "volume",
    "health",
    "publish",
    "expose",
    "is-task",
)
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
    if container.status == "restarting":
        return f"Restarting ({container.exit_code}) {_since(container.finished_at)} ago"
    if container.running:
        paused = " (Paused)" if container.status == "paused" else _health_words(container)
        return f"Up {_since(container.started_at)}{paused}"
    if container.status == "exited":
        return f"Exited ({container.exit_code}) {_since(container.finished_at)} ago"
    return "Created"


def _health_words(container: Container) -> str:
    if container.health is None:
        return ""
    status = container.health.state["Status"]
    return f" (health: {status})" if status == "starting" else f" ({status})"


def _since(moment: str) -> str:
    # fromisoformat takes six decimals at most; the zone is always UTC here
    started = datetime.fromisoformat(moment[:26].rstrip("Z")).replace(tzinfo=UTC)
    return human_duration((datetime.now(UTC) - started).total_seconds())


# -- docker ps


def summary(
    container: Container, store: ImageStore, size: tuple[int, int] | None, names: Iterable[str] = ()
) -> dict[str, Any]:
    """One line of `GET /containers/json`; `size` is (writable layer, with the image) in bytes, `names` are further
    ones."""
    config = container.config
    answer = {
        "Id": container.id,
        "Names": [f"/{container.name}", *names],
        "Image": _image_name(container, store),
        "ImageID": container.image_id,
        "Command": " ".join([*(config["Entrypoint"] or ()), *(config["Cmd"] or ())]),
        "Created": seconds(container.created),
        "Ports": _port_list(container),
        "Labels": config["Labels"],
        "State": container.status,
        "Status": status_words(container),
        "HostConfig": {"NetworkMode": container.host_config["NetworkMode"]},
        "NetworkSettings": {"Networks": _endpoints(container)},
        "Mounts": [each.shown() for each in container.mount_points if each.type != "tmpfs"],
    }
    if size is not None:
        answer["SizeRw"], answer["SizeRootFs"] = size
    return answer


def _image_name(container: Container, store: ImageStore) -> str:
    """As it was asked for, while that still means its image; else the ID (moby: daemon/list.go, refreshImage)."""
    found = store.find(container.image)
    return container.image if found and found.id == container.image_id else container.image_id


def _port_list(container: Container) -> list[dict[str, Any]]:
    if not container.alive:
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
    found = {image.id for image in map(store.find, filters.get("ancestor", [])) if image}
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
        "network": lambda value: any(
            value == name or (value and each["NetworkID"].startswith(value))
            for name, each in container.endpoints.items()
        ),
        "volume": lambda value: any(value in (m["name"], m["source"], m["destination"]) for m in container.mounts),
        "health": lambda value: value == (container.health.state["Status"] if container.health else "none"),
        "publish": lambda value: _has_port(
            value, [f"{each['PublicPort']}/{each['Type']}" for each in _port_list(container) if "PublicPort" in each]
        ),
        "expose": lambda value: _has_port(value, container.config["ExposedPorts"]),
        "is-task": lambda value: value.lower() in ("false", "0"),
    }
    for label in filters.get("label", []):
        name, equals, value = label.partition("=")
        if name not in labels or (equals and labels[name] != value):
            return False
    return all(any(map(check, filters[name])) for name, check in checks.items() if name in filters)


def _has_port(wanted: str, ports: Iterable[str]) -> bool:
    """`80`, `80/udp`, `8000-8010/tcp`."""
    numbers, _, protocol = wanted.partition("/")
    first, _, last = numbers.partition("-")
    return any(
        kind == (protocol or "tcp") and int(first) <= int(number) <= int(last or first)
        for number, _, kind in (port.partition("/") for port in ports)
    )


# -- docker inspect


def inspect(
    container: Container, store: ImageStore, size: tuple[int, int] | None, links: list[str] | None = None
) -> dict[str, Any]:
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
        "LogPath": str(container.log_path) if container.host_config["LogConfig"]["Type"] == "json-file" else "",
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": container.exec_ids or None,
        "HostConfig": {**container.host_config, "Links": links},
        "GraphDriver": _graph_driver(container, store),
        "Mounts": [each.shown() for each in container.mount_points if each.type != "tmpfs" or _by_mount(container)],
        "Config": container.config,
        "NetworkSettings": _network_settings(container),
    }
    if size is not None:
        answer["SizeRw"], answer["SizeRootFs"] = size
    return answer


def _state(container: Container) -> dict[str, Any]:
    health = {"Health": container.health.state} if container.health else {}
    return {
        "Status": container.status,
        "Running": container.running,
        "Paused": container.status == "paused",
        "Restarting": container.status == "restarting",
        "OOMKilled": container.oom_killed,
        "Dead": False,
        "Pid": container.pid,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": container.started_at if container.started_at else NEVER,
        "FinishedAt": container.finished_at,
        **health,
    }


def _graph_driver(container: Container, store: ImageStore) -> dict[str, Any]:
    try:
        return graph_driver(store, store.get_image(container.image_id))
    except ImageNotFound:
        return {"Name": "overlay2", "Data": None}


def _by_mount(container: Container) -> bool:
    """A tmpfs of `--mount` is listed with the mounts, one of `--tmpfs` is not."""
    return not container.host_config.get("Tmpfs")


_NOWHERE = {"EndpointID": "", "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "MacAddress": ""}


def _endpoints(container: Container) -> dict[str, dict[str, Any]]:
    """Of one that does not run without addresses."""
    endpoints = {name: {**each, "DNSNames": _dns_names(container, name)} for name, each in container.endpoints.items()}
    if container.alive:
        return endpoints
    macs = {name: {"MacAddress": container.macs.get(name, "")} for name in container.endpoints}
    return {name: {**endpoint, **_NOWHERE, **macs[name]} for name, endpoint in endpoints.items()}


def _dns_names(container: Container, network: str) -> list[str] | None:
    """The names that a network of one's own knows it by."""
    if network in BUILTIN:
        return None
    aliases = container.endpoints[network]["Aliases"] or ()
    return list(dict.fromkeys((container.name, *aliases, container.id[:12], container.hostname)))


def _network_settings(container: Container) -> dict[str, Any]:
    endpoints = _endpoints(container)
    default = endpoints.get("bridge") or _NOWHERE
    bindings = container.ports.bindings if container.ports and container.alive else {}
    exposed = dict.fromkeys(container.config["ExposedPorts"]) if container.alive else {}
    return {
        "Bridge": "",
        "SandboxID": container.sandbox_id if container.alive else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": {**exposed, **bindings},
        "SandboxKey": "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{name: default[name] for name in _NOWHERE},
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPv6Gateway": "",
        "Networks": endpoints,
    }
