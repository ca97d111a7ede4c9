"""What speaks to the engines: the commands on PATH, the packages in this Python, the shell's variables."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from kubelab.home import Home
from kubelab.settings import docker_engine

from .finding import Finding, State

OLDEST_KUBECTL = (1, 20)  # what the tests run with
PACKAGES = ("kubernetes", "docker", "jupyterlab", "ipywidgets", "anywidget")


def examine(home: Home) -> Iterator[Finding]:
    yield _packages()
    yield _kubectl()
    yield _docker()
    yield _shell(home)


def _packages() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("packages", f"missing: {', '.join(missing)}", State.FAILED, "Run `make setup`.")
    return Finding("packages", ", ".join(found))


def _kubectl() -> Finding:
    out = _output("kubectl", "version", "--client", "--output=json")
    if out is None:
        return Finding("kubectl", "not on PATH: notebooks do without, your terminal cannot", State.NOTE)
    try:
        client = json.loads(out)["clientVersion"]
        release = int(client["major"]), int(client["minor"].rstrip("+"))
    except (ValueError, KeyError):
        return Finding("kubectl", "says no version", State.NOTE)
    if release < OLDEST_KUBECTL:
        return Finding("kubectl", client["gitVersion"], State.NOTE, "Older than what the course is tested with.")
    return Finding("kubectl", client["gitVersion"])


def _docker() -> Finding:
    out = _output("docker", "--version")
    if out is None:
        return Finding("docker", "not on PATH: notebooks do without, your terminal cannot", State.NOTE)
    return Finding("docker", out.strip())


def _shell(home: Home) -> Finding:
    try:
        wanted = docker_engine.shell_variables(home)
    except docker_engine.NoEngine:  # the finding about it says more
        wanted = home.shell_variables()
    for name in (docker_engine.KEPT_HOST, docker_engine.REGISTRY):
        wanted.pop(name, None)
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return Finding("this shell", "kubectl and docker speak to the engines")
    advice = 'To point them at the engines: eval "$(kubelab env)"'
    return Finding("this shell", "kubectl and docker do not speak to the engines", State.NOTE, advice)


def _output(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, stdin=subprocess.DEVNULL)
    return done.stdout
