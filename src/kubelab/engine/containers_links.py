"""`--link` on the default bridge, which resolves no names: lines in /etc/hosts and variables that tell of another one.

What was there before networks of one's own, and what Kubernetes' service variables are made after. Upstream: moby's
daemon/links.go, daemon/links/links.go (ToEnv) and daemon/container_operations_unix.go (setupLinkedContainers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kubelab.engine.containers_record import Container
from kubelab.engine.errors import DockerError

Find = Callable[[str], Container]
NOT_RUNNING = "Cannot link to a non running container"
_OF_EVERY_IMAGE = ("HOME", "PATH")


def parse(asked: Iterable[str], find: Find) -> dict[str, str]:
    """`name:alias` as alias -> container ID. Raises DockerError 400."""
    found = {}
    for text in asked:
        name, _, alias = text.removeprefix("/").partition(":")
        if not name or ":" in alias:
            raise DockerError(400, f"bad format for links: {text}")
        try:
            linked = find(name)
        except DockerError as error:
            raise DockerError(400, f"could not get container for {name}: {error}") from None
        if linked.host_config["NetworkMode"] == "host":
            message = "conflicting options: host type networking can't be used with links"
            raise DockerError(400, f"{message}. This would result in undefined behavior")
        found[alias.rpartition("/")[2] or name] = linked.id
    return found


def shown(container: Container, find: Find) -> list[str] | None:
    """HostConfig.Links of `docker inspect`."""
    lines = [f"/{linked.name}:/{container.name}/{alias}" for alias, linked in _there(container, find)]
    return lines or None


def names(containers: Iterable[Container]) -> dict[str, list[str]]:
    """Container ID -> further names in `docker ps`, those by which others link to it."""
    found: dict[str, list[str]] = {}
    for each in containers:
        for alias, linked in each.links.items():
            found.setdefault(linked, []).append(f"/{each.name}/{alias}")
    return found


def hosts(container: Container, find: Find) -> dict[str, str]:
    """Names for /etc/hosts -> address. Raises DockerError 500 where one that is linked does not run."""
    found = {}
    for alias, linked in _there(container, find):
        if not linked.alive:
            raise DockerError(500, f"{NOT_RUNNING}: /{linked.name} AS /{container.name}/{alias}")
        known_as = dict.fromkeys((alias, linked.hostname, linked.name))
        found[" ".join(known_as)] = _address(linked)
    return found


def environment(container: Container, find: Find) -> list[str]:
    """`ALIAS_PORT_80_TCP=tcp://172.17.0.2:80` and the rest."""
    return [line for alias, linked in _there(container, find) for line in _variables(container, alias, linked)]


def _variables(container: Container, alias: str, linked: Container) -> Iterator[str]:
    name, ip = alias.upper().replace("-", "_"), _address(linked)
    ports = sorted((int(port), protocol or "tcp") for port, _, protocol in _exposed(linked))
    for port, protocol in ports[:1]:
        yield f"{name}_PORT={protocol}://{ip}:{port}"
    for port, protocol in ports:
        prefix = f"{name}_PORT_{port}_{protocol.upper()}"
        yield f"{prefix}={protocol}://{ip}:{port}"
        yield from (f"{prefix}_ADDR={ip}", f"{prefix}_PORT={port}", f"{prefix}_PROTO={protocol}")
    yield f"{name}_NAME=/{container.name}/{alias}"
    for line in linked.config["Env"]:
        variable, equals, value = line.partition("=")
        if equals and variable not in _OF_EVERY_IMAGE:
            yield f"{name}_ENV_{variable}={value}"


def _exposed(container: Container) -> Iterator[tuple[str, str, str]]:
    return (key.partition("/") for key in container.config["ExposedPorts"])


def _address(container: Container) -> str:
    return (container.endpoints.get("bridge") or {}).get("IPAddress") or container.ip


def _there(container: Container, find: Find) -> Iterator[tuple[str, Container]]:
    for alias, identifier in container.links.items():
        try:
            yield alias, find(identifier)
        except DockerError:  # it has been removed, and its links with it
            continue
