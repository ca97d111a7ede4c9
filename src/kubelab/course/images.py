"""What the course has in the Docker Engine: its images, built from apps/ where absent, and a chapter's containers."""

from __future__ import annotations

from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from .errors import LabError, engines_do_not_answer

LABELS = {"app.kubernetes.io/part-of": "kubelab"}
CHAPTER = "kubelab.dev/chapter"
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


def labels(chapter: str) -> dict[str, str]:
    """What every container that a chapter runs is marked with."""
    return {**LABELS, CHAPTER: chapter}


def clear(engine: docker.DockerClient, chapter: str) -> None:
    """Remove the containers that an earlier run of the chapter left, running or not."""
    for container in engine.containers.list(all=True, filters={"label": f"{CHAPTER}={chapter}"}):
        container.remove(force=True)


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
