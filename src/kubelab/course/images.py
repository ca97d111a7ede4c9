"""The course's own images: built from apps/ through the Docker Engine where they are not there yet."""

from __future__ import annotations

from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from .errors import LabError, engines_do_not_answer

LABELS = {"app.kubernetes.io/part-of": "kubelab"}
APPS = {"kubelab/shop:1": "shop", "kubelab/faulty:1": "faulty"}  # tag -> build context below apps/


def connect(docker_host: str | None) -> docker.DockerClient:
    """A client of the Docker Engine. LabError where none answers."""
    try:
        found = docker.DockerClient(base_url=docker_host) if docker_host else docker.from_env()
        found.ping()
    except DockerException as error:
        raise engines_do_not_answer("the Docker Engine", error) from error
    return found


def ensure(engine: docker.DockerClient, apps: Path) -> list[str]:
    """Build the images that are absent. Returns their tags. LabError holds the end of a failed build's output."""
    built = []
    for tag, context in APPS.items():
        try:
            engine.images.get(tag)
        except ImageNotFound:
            _build(engine, apps / context, tag)
            built.append(tag)
    return built


def _build(engine: docker.DockerClient, context: Path, tag: str) -> None:
    try:
        engine.images.build(path=str(context), tag=tag, labels=LABELS, rm=True)
    except BuildError as error:
        output = "".join(line.get("stream", "") for line in error.build_log)
        raise LabError(f"{tag} could not be built: {error.msg}\n{output[-800:]}") from error
    except APIError as error:
        raise LabError(
            f"{tag} could not be built: {error.explanation or error}. Next: run `kubelab doctor`."
        ) from error
