"""Which Docker Engine the course uses: its own, or a real one of yours; and where a real one is looked for.

`KUBELAB_DOCKER` says it, else what the picker of the first page has kept in `$KUBELAB_HOME/config/docker.json`, else it
is the embedded one (with a cluster of your own, `KUBELAB_CONTEXT`: the real one):

- `embedded`: the course's own, on `$KUBELAB_HOME/docker.sock`.
- `host`: a real one. Your DOCKER_HOST alone where it is set; else the docker command's current context; else the usual
  sockets. It is an error where none answers.
- `auto`: a real one, looked for in the same places, where it answers `GET /_ping` within PING_TIMEOUT; else
  the embedded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelab.home import Home

if TYPE_CHECKING:
    import docker

VARIABLE = "KUBELAB_DOCKER"
REGISTRY = "KUBELAB_REGISTRY"  # in a shell: `docker push $KUBELAB_REGISTRY/hello:1`
KEPT_HOST = "KUBELAB_USER_DOCKER_HOST"  # your DOCKER_HOST, kept where the course sets another one in its place
PING_TIMEOUT = 2.0  # seconds, for each place
SOCKETS = ("/var/run/docker.sock", "$XDG_RUNTIME_DIR/docker.sock", "~/.docker/run/docker.sock")


class Choice(StrEnum):
    AUTO = "auto"
    EMBEDDED = "embedded"
    HOST = "host"


class NoEngine(Exception):
    """What was chosen cannot be had; the message says what was tried and the next step."""


@dataclass(frozen=True)
class Chosen:
    choice: Choice
    source: str  # who says so, for people

    def __str__(self) -> str:
        return f"{self.choice} ({self.source})"


@dataclass(frozen=True)
class Address:
    """Where an engine is. `tls` names a folder with ca.pem, cert.pem, key.pem; "" without TLS."""

    url: str
    source: str = ""  # "DOCKER_HOST", "context colima", …
    tls: str = ""
    real: bool = True

    def options(self) -> dict[str, Any]:
        """What `docker.DockerClient(**options)` takes."""
        import docker

        options: dict[str, Any] = {"base_url": self.url, "use_ssh_client": self.url.startswith("ssh://")}
        if self.tls:
            authority, certificate, key = (str(Path(self.tls) / name) for name in ("ca.pem", "cert.pem", "key.pem"))
            options["tls"] = docker.tls.TLSConfig(ca_cert=authority, client_cert=(certificate, key), verify=True)
        return options

    def client(self, **options: Any) -> docker.DockerClient:
        """The docker SDK for it. Raises docker.errors.DockerException."""
        import docker

        return docker.DockerClient(**self.options(), **options)


def embedded(home: Home) -> Address:
    return Address(f"unix://{home.docker_socket}", "the course's own", real=False)


def chosen(home: Home, environ: Mapping[str, str] = os.environ) -> Chosen:
    """Raises NoEngine where KUBELAB_DOCKER says what is none of the three."""
    if said := environ.get(VARIABLE):
        if said not in list(Choice):
            raise NoEngine(f"{VARIABLE}={said} is none of {', '.join(Choice)}. Next: set one of them, or unset it.")
        return Chosen(Choice(said), f"{VARIABLE} says so")
    if (kept := _kept(home).get("choice")) in list(Choice):
        return Chosen(Choice(kept), "picked on the first page")
    if environ.get("KUBELAB_CONTEXT"):
        return Chosen(Choice.HOST, "as the cluster is your own")
    return Chosen(Choice.EMBEDDED, "by default")


def choose(home: Home, choice: Choice) -> None:
    """Remember it for this `$KUBELAB_HOME`."""
    _keep(home, choice=str(choice))


def resolve(home: Home, choice: Choice | None = None, environ: Mapping[str, str] = os.environ) -> Address:
    """The engine to use now, as chosen or with `choice`. Asks real ones whether they answer. Raises NoEngine."""
    choice = choice or chosen(home, environ).choice
    if choice is Choice.EMBEDDED:
        return embedded(home)
    tried = []
    for place in places(home, environ):
        reason = answers(place)
        if not reason:
            return place
        tried.append(f"{place.url} ({place.source}): {reason}")
    if choice is Choice.AUTO:
        return embedded(home)
    said = "; ".join(tried) or "there is neither DOCKER_HOST nor a socket in the usual places"
    raise NoEngine(
        f"no Docker Engine of your own answers: {said}. "
        f"Next: start it, point DOCKER_HOST at it, or use the course's own with {VARIABLE}={Choice.EMBEDDED}."
    )


def shell_variables(home: Home, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What `kubectl` and `docker` need to find the engines that are chosen, in any shell. Raises NoEngine."""
    found = home.shell_variables() | {"DOCKER_HOST": resolve(home, environ=environ).url}
    if home.registry_address:
        found[REGISTRY] = home.registry_address
    yours = environ.get("DOCKER_HOST", "")
    if yours and yours != embedded(home).url:
        found[KEPT_HOST] = yours
    return found


def places(home: Home, environ: Mapping[str, str] = os.environ) -> Iterator[Address]:
    """Where a real engine may be, the likeliest first. A DOCKER_HOST is the only one: whoever sets it means it."""
    ours = embedded(home).url
    for name in ("DOCKER_HOST", KEPT_HOST):
        if (url := environ.get(name, "")) and url != ours:
            tls = environ.get("DOCKER_CERT_PATH", "~/.docker") if environ.get("DOCKER_TLS_VERIFY") else ""
            yield Address(url, "DOCKER_HOST", str(Path(tls).expanduser()) if tls else "")
            return
    seen = {ours}
    for place in (*_context(environ), *_sockets(environ)):
        if place.url not in seen:
            seen.add(place.url)
            yield place


def _context(environ: Mapping[str, str]) -> Iterator[Address]:
    """What `docker context use` (or DOCKER_CONTEXT) points at."""
    from docker.context import ContextAPI

    try:
        name = environ.get("DOCKER_CONTEXT")
        found = ContextAPI.get_context(name) if name else ContextAPI.get_current_context()
    except Exception:  # a file of the user's that does not parse: the sockets are still there
        return
    if found and found.Name != "default" and found.Host:
        tls = found.TLSConfig
        folder = str(Path(tls.ca_cert).parent) if tls and tls.ca_cert else ""
        yield Address(found.Host.replace("http+unix://", "unix://"), f"context {found.Name}", folder)


def _sockets(environ: Mapping[str, str]) -> Iterator[Address]:
    for name in SOCKETS:
        variable, _, rest = name.partition("/")
        if variable.startswith("$"):
            if not (folder := environ.get(variable[1:])):
                continue
            name = f"{folder}/{rest}"
        path = Path(name).expanduser()
        if path.is_socket():
            yield Address(f"unix://{path}", "its usual socket")


def answers(place: Address) -> str:
    """Why the engine does not answer; "" where it does."""
    try:
        client = place.client(timeout=PING_TIMEOUT)
        try:
            client.ping()
        finally:
            client.close()
    except Exception as error:  # the SDK raises what its transports raise: requests', paramiko's, ValueError
        return _short(error)
    return ""


def _short(error: Exception) -> str:
    text = str(error)
    for words in ("Permission denied", "Connection refused", "No such file or directory", "timed out"):
        if words.lower() in text.lower():
            return words.lower()
    return text.splitlines()[0][:120] if text else type(error).__name__


# -- what is kept: the choice, and the real engines in which the course has made something


def note_use(home: Home, address: Address) -> None:
    """The course is about to make something in this real engine: `kubelab reset` will look there."""
    known = used(home)
    if address not in known:
        _keep(home, used=[asdict(each) for each in (*known, address)])


def used(home: Home) -> list[Address]:
    try:
        return [Address(**each) for each in _kept(home).get("used", [])]
    except TypeError:
        return []


def _path(home: Home) -> Path:
    return home.config / "docker.json"


def _kept(home: Home) -> dict[str, Any]:
    try:
        found = json.loads(_path(home).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keep(home: Home, **changes: Any) -> None:
    path = _path(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(_kept(home) | changes, indent=2) + "\n")
    beside.replace(path)
