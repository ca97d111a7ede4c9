"""What the course has in the Docker Engine: its images, built from apps/ where absent, and a chapter's containers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound

from kubelab.home import Home
from kubelab.settings import docker_engine
from kubelab.settings.docker_engine import Address
from kubelab.settings.docker_leavings import LABELS

from .docker_client import LabellingClient
from .errors import LabError, engines_do_not_answer

CHAPTER = "kubelab.dev/chapter"
BASE = "kubelab/python:latest"
APPS = {"kubelab/shop:1": "shop", "kubelab/faulty:1": "faulty"}  # tag -> build context below apps/
BASE_TIMEOUT = 120  # seconds to make the base image


def connect(address: Address, home: Home) -> docker.DockerClient:
    """A client of the Docker Engine; a real one has the base image afterwards. LabError where none answers."""
    try:
        found = LabellingClient(**address.options()) if address.real else address.client()
        found.ping()
        if address.real:
            docker_engine.note_use(home, address)
            ensure_base(found)
    except DockerException as error:
        raise engines_do_not_answer(f"the Docker Engine at {address.url}", error) from error
    return found


def describe(engine: docker.DockerClient, address: Address) -> str:
    """Which engine it is, in a line: "embedded, API 1.44, runtime level namespaces"."""
    version, info = engine.version(), engine.info()
    level = dict(info.get("DriverStatus") or []).get("Runtime level")
    if not address.real:
        return f"embedded, API {version['ApiVersion']}, runtime level {level}"
    return f"{version['Version']} at {address.url} ({address.source}), API {version['ApiVersion']}"


def ensure_base(engine: docker.DockerClient) -> None:
    """Load `kubelab/python` into a real engine, from the embedded engine's archive, so that both have the same ID."""
    with tempfile.NamedTemporaryFile(prefix="kubelab-base-", suffix=".tar") as archive:
        command = [sys.executable, "-m", "kubelab.cli", "base-image"]
        wanted = _run(command)
        try:
            if engine.images.get(BASE).id == wanted:
                return
        except ImageNotFound:
            pass
        _run([*command, "--save", archive.name])
        engine.images.load(archive)


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=BASE_TIMEOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError(f"{BASE} could not be made: {done.stderr.strip()}. Next: run `kubelab doctor`.")
    return done.stdout.strip()


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
