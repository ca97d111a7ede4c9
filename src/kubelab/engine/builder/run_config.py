"""The configuration that a build carries from step to step: Docker's container.Config, as a dict of its JSON names.

Which parts of it decide whether a step is found in the cache is moby's image/cache/compare.go.
"""

from __future__ import annotations

import copy
from typing import Any

from kubelab.images.base import PATH

RunConfig = dict[str, Any]
SHELL = ["/bin/sh", "-c"]
EMPTY: RunConfig = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "Cmd": None,
    "Image": "",
    "Volumes": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "OnBuild": None,
    "Labels": None,
}
# The order of Docker's own struct (moby: api/types/container/config.go); what follows `Labels` or is not in EMPTY is
# left out where it is empty.
ORDER = (
    "Hostname", "Domainname", "User", "AttachStdin", "AttachStdout", "AttachStderr", "ExposedPorts", "Tty", "OpenStdin",
    "StdinOnce", "Env", "Cmd", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir", "Entrypoint",
    "NetworkDisabled", "MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout", "Shell",
)  # fmt: skip
HEALTH_ORDER = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
_SAME = ("AttachStdout", "AttachStderr", "User", "Tty")
_SAME_ITEMS = ("Cmd", "Env", "Labels", "ExposedPorts", "Entrypoint", "Volumes")  # None and empty are alike


def start_from(image_config: RunConfig | None) -> RunConfig:
    """What a stage begins with: the image's own configuration, with a PATH in it."""
    config = {**EMPTY, **copy.deepcopy(image_config or {})}
    if not any(variable.startswith("PATH=") for variable in config["Env"] or []):
        config["Env"] = [*(config["Env"] or []), f"PATH={PATH}"]
    return config


def changed(config: RunConfig, **fields: Any) -> RunConfig:
    """A copy of `config` with `fields` in place of its own."""
    return {**copy.deepcopy(config), **fields}


def in_order(config: RunConfig) -> RunConfig:
    """The configuration as Docker writes it; fields that it does not have come last."""
    names = [*ORDER, *(name for name in config if name not in ORDER)]
    found = {name: config[name] for name in names if name in config and (name in EMPTY or config[name])}
    if check := found.get("Healthcheck"):
        found["Healthcheck"] = {name: check[name] for name in HEALTH_ORDER if check.get(name)}
    return found


def as_created(config: RunConfig, image_config: RunConfig | None) -> RunConfig:
    """What dockerd makes of a configuration when it creates a container from it (moby: daemon/commit.go, merge).

    A step that runs nothing is recorded with this, so that what is empty by then, such as after `ENTRYPOINT []`, is the
    image's again, and the step is not found in the cache.
    """
    entrypoint = config["Entrypoint"]
    if entrypoint is None:
        entrypoint = (image_config or {}).get("Entrypoint")
    return changed(config, Entrypoint=entrypoint, Labels=config["Labels"] or {})


def shell(config: RunConfig) -> list[str]:
    """What the shell forms of RUN, CMD and ENTRYPOINT are run by."""
    return config.get("Shell") or SHELL


def nop(config: RunConfig, comment: str, *, joined: bool = False) -> list[str]:
    """The Cmd that stands for a step that runs nothing. WORKDIR, COPY and ADD write it as one word (`joined`)."""
    return [*shell(config), f"#(nop) {comment}"] if joined else [*shell(config), "#(nop) ", comment]


def differences(one: RunConfig, other: RunConfig) -> list[str]:
    """The fields in which two steps of a build differ; none where one's image will do for the other.

    A step whose input was open is like no other.
    """
    found = [name for name in _SAME if (one.get(name) or "") != (other.get(name) or "")]
    found += [name for name in _SAME_ITEMS if (one.get(name) or None) != (other.get(name) or None)]
    return found + ["OpenStdin"] * bool(one.get("OpenStdin") or other.get("OpenStdin"))


def environment(config: RunConfig) -> dict[str, str]:
    """The configuration's variables, in their order."""
    pairs = (variable.partition("=") for variable in config["Env"] or [])
    return {name: value for name, _, value in pairs}


def set_variable(config: RunConfig, name: str, value: str) -> None:
    """Set a variable where it stands, or at the end."""
    variables = config["Env"] = list(config["Env"] or [])
    for index, variable in enumerate(variables):
        if variable.partition("=")[0] == name:
            variables[index] = f"{name}={value}"
            return
    variables.append(f"{name}={value}")
