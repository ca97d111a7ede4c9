"""`--change` of `docker commit` and `import`: Dockerfile instructions that change a configuration and make no step.

Upstream: moby's builder/dockerfile/builder.go (BuildFromConfig) and daemon/commit.go (merge).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kubelab.engine.builder import instructions
from kubelab.engine.builder.arguments import BuildArguments
from kubelab.engine.builder.builder import StageState
from kubelab.engine.builder.dockerfile import DockerfileError, parse_trigger
from kubelab.engine.builder.run_config import EMPTY, RunConfig, environment
from kubelab.engine.builder.words import expand

ALLOWED = ("cmd", "entrypoint", "healthcheck", "env", "expose", "label", "onbuild", "user", "volume", "workdir")
ESCAPE = "\\"


async def apply(config: RunConfig, changes: list[str]) -> RunConfig:
    """The configuration after the changes, each a line or several. Raises ValueError with dockerd's words."""
    state = ConfigState(config)
    for line in (line for change in changes for line in change.splitlines() if line.strip()):
        name = line.split()[0].lower()
        if name not in ALLOWED:
            raise DockerfileError(f"{name} is not a valid change command")
        step = parse_trigger(line, ESCAPE)
        own = environment(state.config) if name in instructions.EXPANDED else None
        args = list(step.args) if own is None else [expand(arg, own, ESCAPE) for arg in step.args]
        await instructions.ACTIONS[name](state, step, args)
    return state.config


class ConfigState(StageState):
    """What an instruction works on here: its steps are made at once, and leave nothing behind."""

    def __init__(self, config: RunConfig) -> None:
        self.config = {**EMPTY, **copy.deepcopy(config)}
        self.arguments = BuildArguments({})
        self.command_set, self.author = False, ""

    async def say(self, text: str) -> None:
        """There is no stream."""

    async def from_cache(self, container_config: RunConfig) -> bool:
        return True

    async def commit_nop(self, comment: str) -> None:
        """The configuration is all that is wanted."""


_MERGED = ("User", "Cmd", "Entrypoint", "WorkingDir", "Healthcheck", "StopSignal")
_JOINED = ("ExposedPorts", "Labels", "Volumes")


def merge(given: RunConfig, container: Mapping[str, Any]) -> RunConfig:
    """The configuration of a commit; what it leaves out is taken from its container's."""
    merged = dict(given)
    for name in _MERGED:
        merged[name] = given.get(name) or container.get(name)
    if given.get("Entrypoint") and not given.get("Cmd"):
        merged["Cmd"] = None  # the container's was meant for its own entrypoint
    for name in _JOINED:
        merged[name] = {**(container.get(name) or {}), **(given.get(name) or {})} or None
    own = environment(given)
    kept = [line for line in container.get("Env") or [] if line.partition("=")[0] not in own]
    merged["Env"] = [*(given.get("Env") or []), *kept]
    return {name: value for name, value in merged.items() if value is not None or name in EMPTY}
