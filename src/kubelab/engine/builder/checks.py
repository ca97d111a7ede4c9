"""What each instruction must have, told with upstream's words (buildkit: frontend/dockerfile/instructions/parse.go)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelab.engine.builder import healthcheck

if TYPE_CHECKING:
    from kubelab.engine.builder.dockerfile import Instruction

FLAGS = {
    "add": {"chown", "chmod", "checksum"},
    "copy": {"chown", "from", "chmod"},
    "from": {"platform"},
    "healthcheck": healthcheck.FLAGS,
    "run": {"mount"},  # for a better message than that there is no such flag
}
MISSING, DUPLICATE = "\0missing", "\0duplicate"  # in the place of a flag's value
_STAGE = re.compile(r"[a-z][a-z0-9-_.]*")


def check(instruction: Instruction) -> None:
    """Raises ValueError with what is wrong."""
    name = instruction.name
    if name not in _EXPECTED:
        raise ValueError(f"unknown instruction: {name.upper()}")
    for flag, value in instruction.flags.items():
        if flag not in FLAGS.get(name, ()):
            raise ValueError(f"Unknown flag: {flag}")
        if value == DUPLICATE:
            raise ValueError(f"Duplicate flag specified: {flag}")
        if value == MISSING:
            raise ValueError(f"Missing a value on flag: {flag}")
    _EXPECTED[name](name.upper(), instruction.args, instruction)


def _any(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    """RUN, CMD and ENTRYPOINT take anything."""


def _some(name: str, args: tuple[str, ...], _: Instruction) -> None:
    if not args:
        raise ValueError(f"{name} requires at least one argument")


def _one(name: str, args: tuple[str, ...], _: Instruction) -> None:
    if len(args) != 1:
        raise ValueError(f"{name} requires exactly one argument")


def _keys(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    if not all(args[::2]):
        raise ValueError(f"{name} names can not be blank")


def _named(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    if any(arg.startswith("=") for arg in args):
        raise ValueError(f"{name} names can not be blank")


def _destination(name: str, args: tuple[str, ...], _: Instruction) -> None:
    if len(args) < 2:
        raise ValueError(
            f"{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        )


def _base(name: str, args: tuple[str, ...], _: Instruction) -> None:
    if len(args) == 3 and args[1].lower() == "as":
        if not _STAGE.fullmatch(args[2].lower()):
            raise ValueError(
                f'invalid name for build stage: "{args[2]}", name can\'t start with a number or contain symbols'
            )
    elif len(args) != 1:
        raise ValueError("FROM requires either one or three arguments")


def _array(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    if not instruction.exec_form:
        raise ValueError(f"{name} requires the arguments to be in JSON form")


def _paths(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    if not all(arg.strip() for arg in args):
        raise ValueError(f"{name} specified can not be an empty string")


def _trigger(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    inner = args[0].split()[0].upper()
    if inner == "ONBUILD":
        raise ValueError("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if inner in ("MAINTAINER", "FROM"):
        raise ValueError(f"{inner} isn't allowed as an ONBUILD trigger")


def _health(name: str, args: tuple[str, ...], instruction: Instruction) -> None:
    _some(name, args, instruction)
    healthcheck.parse(args, instruction.flags, instruction.exec_form)


_EXPECTED = {
    "add": _destination,
    "arg": _named,
    "cmd": _any,
    "copy": _destination,
    "entrypoint": _any,
    "env": _keys,
    "expose": _some,
    "from": _base,
    "healthcheck": _health,
    "label": _keys,
    "maintainer": _one,
    "onbuild": _trigger,
    "run": _any,
    "shell": _array,
    "stopsignal": _one,
    "user": _one,
    "volume": _paths,
    "workdir": _one,
}
