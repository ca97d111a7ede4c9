"""Bring images from the Docker Engine to the cluster where the two do not share a store: `docker save` into its nodes.

The embedded engine and the embedded cluster share one. A real engine's images go to the embedded cluster through the
embedded engine (save there, load here), and to a kind cluster as `kind load docker-image` brings them
(kind: pkg/cluster/nodeutils/util.go, LoadImageArchive). Only what is not there yet is sent: image IDs are digests.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import docker
from docker.errors import APIError, ImageNotFound

from . import kind
from .errors import LabError
from .layers import size

if TYPE_CHECKING:
    from .lab import Lab

TELL = 0.5  # seconds between two lines of progress
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class Target(Protocol):
    """Where images are to be."""

    def image_id(self, name: str) -> str:
        """The ID of the image of that name; "" where there is none."""

    def load(self, archive: Iterable[bytes]) -> None:
        """Take what `docker save` wrote. LabError where it is not taken."""


class EmbeddedStore:
    """The embedded cluster's images, through the embedded engine."""

    def __init__(self, engine: docker.DockerClient) -> None:
        self._engine = engine

    def image_id(self, name: str) -> str:
        try:
            return self._engine.images.get(name).id
        except ImageNotFound:
            return ""

    def load(self, archive: Iterable[bytes]) -> None:
        try:
            for line in self._engine.api.load_image(archive):
                if "error" in line:
                    raise LabError(f"the embedded engine did not take an image: {line['error']}")
        except APIError as error:
            raise LabError(f"the embedded engine did not take an image: {error.explanation}") from error


class KindNode:
    """The images of one node of a kind cluster."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def image_id(self, name: str) -> str:
        code, output = self._node.exec_run(["crictl", "inspecti", "-o", "json", name], stderr=False)
        return json.loads(output)["status"]["id"] if code == 0 else ""

    def load(self, archive: Iterable[bytes]) -> None:
        kind.pipe(self._node, kind.IMPORT, archive)


def targets(lab: Lab) -> Sequence[Target]:
    """Where the lab's images have to be brought; nowhere where the cluster sees them, or is none that we know."""
    if lab.engines.embedded:
        address = lab.docker_address
        return [EmbeddedStore(lab.embedded_docker)] if address.real else []
    if lab.engines.kind:
        return [KindNode(node) for node in kind.nodes(lab.host_docker, lab.engines.kind)]
    return []


def deliver(source: docker.DockerClient, targets: Sequence[Target], names: Iterable[str]) -> list[str]:
    """Bring the named images that `source` has to where they are not. Returns the names that were sent."""
    sent = []
    for name in dict.fromkeys(names):
        try:
            image = source.images.get(name)
        except ImageNotFound:  # the cluster pulls it, or says that it cannot
            continue
        for target in targets:
            if target.image_id(name) != image.id:
                target.load(_told(source.api.get_image(_tagged(name)), name))
                sent.append(name)
    return sent


def _tagged(name: str) -> str:
    """`docker save` of a name without a tag would save all its tags."""
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"


def _told(archive: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The archive, with a line that says how much of it has gone by."""
    total, last = 0, time.monotonic()
    for chunk in archive:
        yield chunk
        total += len(chunk)
        if time.monotonic() - last > TELL:
            last = time.monotonic()
            print(f"image {name} is sent to the cluster: {size(total)}", end="\r", flush=True)
    print(f"image {name} was sent to the cluster ({size(total)})", flush=True)


def names(document: Any) -> Iterator[str]:
    """The images that a manifest names, wherever a pod's template is in it."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in CONTAINERS and isinstance(value, list):
                yield from (each["image"] for each in value if isinstance(each, dict) and each.get("image"))
            else:
                yield from names(value)
    elif isinstance(document, list):
        for each in document:
            yield from names(each)
