"""Which Docker Engine the course uses, and what was found where a real one may be."""

from __future__ import annotations

from collections.abc import Iterator

from kubelab.home import Home
from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Choice, NoEngine

from .finding import Finding, State

TOPIC = "Docker Engine"


def examine(home: Home) -> Iterator[Finding]:
    try:
        chosen = docker_engine.chosen(home)
    except NoEngine as error:
        yield Finding(TOPIC, str(error), State.FAILED)
        return
    yield Finding(TOPIC, f"chosen: {chosen}")
    if chosen.choice is not Choice.EMBEDDED:
        yield from _places(home)
        yield _in_use(home)
    for address in docker_engine.used(home):
        yield Finding("", f"the course has made something at {address.url}: `kubelab reset` removes it")


def _places(home: Home) -> Iterator[Finding]:
    for place in docker_engine.places(home):
        reason = docker_engine.answers(place)
        text = f"{place.url} ({place.source}): {reason or 'answers'}"
        yield Finding("", text, State.NOTE if reason else State.OK)


def _in_use(home: Home) -> Finding:
    try:
        address = docker_engine.resolve(home)
    except NoEngine as error:
        return Finding(TOPIC, str(error), State.FAILED, f"Or set {docker_engine.VARIABLE}=embedded.")
    if not address.real:
        return Finding(TOPIC, "no real one answers: the course's own is used", State.NOTE)
    client = address.client(timeout=docker_engine.PING_TIMEOUT)
    try:
        version = client.version()
    finally:
        client.close()
    return Finding(TOPIC, f"{version['Version']}, API {version['ApiVersion']}, at {address.url}")
