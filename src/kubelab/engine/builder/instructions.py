"""What each instruction does: one function each, headed by its syntax (moby: builder/dockerfile/dispatchers.go).

A function gets the step's state and its arguments with variables expanded, changes the configuration, and leaves an
image behind: with `commit_nop` where no file changes, else by itself.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubelab.engine.builder import copying, running
from kubelab.engine.builder.addition import Addition
from kubelab.engine.builder.dockerfile import Instruction
from kubelab.engine.builder.run_config import SHELL, changed, environment, nop, set_variable
from kubelab.runtime.api import Level

if TYPE_CHECKING:
    from kubelab.engine.builder.builder import StageState

EXPANDED = {"add", "arg", "copy", "env", "expose", "label", "user", "workdir"}  # their variables are put in
_PORT = re.compile(r"(?P<first>\d+)(?:-(?P<last>\d+))?(?:/(?P<protocol>.*))?")


async def env(state: StageState, step: Instruction, args: list[str]) -> None:
    """ENV name=value …    ENV name value"""
    pairs = list(zip(args[::2], args[1::2], strict=True))
    for name, value in pairs:
        set_variable(state.config, name, value)
    await state.commit_nop("ENV " + " ".join(f"{name}={value}" for name, value in pairs))


async def label(state: StageState, step: Instruction, args: list[str]) -> None:
    """LABEL name=value …"""
    pairs = dict(zip(args[::2], args[1::2], strict=True))
    labels = {**(state.config["Labels"] or {}), **pairs}
    state.config["Labels"] = dict(sorted(labels.items()))
    await state.commit_nop("LABEL " + " ".join(f"{name}={value}" for name, value in pairs.items()))


async def arg(state: StageState, step: Instruction, args: list[str]) -> None:
    """ARG name[=default] …"""
    for argument in args:
        name, equals, default = argument.partition("=")
        state.arguments.declare(name, default if equals else None)
    await state.commit_nop("ARG " + " ".join(args))


async def workdir(state: StageState, step: Instruction, args: list[str]) -> None:
    """WORKDIR /path    (relative to the one before; made where it is missing)"""
    path = posixpath.normpath(posixpath.join("/", state.config["WorkingDir"], args[0]))
    state.config["WorkingDir"] = path
    container_config = changed(state.config, Cmd=nop(f"WORKDIR {path}", joined=True))
    if await state.from_cache(container_config):
        return
    container = await state.show_container()
    addition = Addition(state.view())
    if not state.view().is_dir(resolved := state.view().resolve(path)):
        addition.folder(resolved)
    await state.commit(container_config, addition.write(), container)
    await state.say(f"Removing intermediate container {container[:12]}\n")


async def expose(state: StageState, step: Instruction, args: list[str]) -> None:
    """EXPOSE port[/protocol] …"""
    ports = {**(state.config.get("ExposedPorts") or {}), **{port: {} for each in args for port in parse_ports(each)}}
    state.config["ExposedPorts"] = dict(sorted(ports.items()))
    await state.commit_nop("EXPOSE " + " ".join(sorted(args)))


def parse_ports(text: str) -> list[str]:
    """`80`, `53/udp`, `8000-8002/tcp` as Docker's port keys. Raises ValueError with go-connections' words."""
    port, _, protocol = text.partition("/")
    match = _PORT.fullmatch(text)
    if match is None:
        raise ValueError(f"Invalid containerPort: {port}")
    first, last = int(match["first"]), int(match["last"] or match["first"])
    protocol = (match["protocol"] or "tcp").lower()
    if protocol not in ("tcp", "udp", "sctp"):
        raise ValueError(f"Invalid proto: {protocol}")
    if not first <= last <= 65535:
        raise ValueError(f"Invalid containerPort: {port}")
    return [f"{number}/{protocol}" for number in range(first, last + 1)]


async def user(state: StageState, step: Instruction, args: list[str]) -> None:
    """USER name|uid[:group|gid]"""
    state.config["User"] = args[0]
    await state.commit_nop(f"USER {args[0]}")


async def cmd(state: StageState, step: Instruction, args: list[str]) -> None:
    """CMD ["program", "argument"]    CMD command line"""
    state.config["Cmd"] = _command(step, args)
    state.command_set = state.command_set or bool(args)
    await state.commit_nop(f"CMD {quoted(state.config['Cmd'])}")


async def entrypoint(state: StageState, step: Instruction, args: list[str]) -> None:
    """ENTRYPOINT ["program", "argument"]    ENTRYPOINT command line"""
    state.config["Entrypoint"] = _command(step, args) or None
    if not state.command_set:  # a CMD of the base image was meant for its own entrypoint
        state.config["Cmd"] = None
    await state.commit_nop(f"ENTRYPOINT {quoted(state.config['Entrypoint'] or [])}")


def _command(step: Instruction, args: list[str]) -> list[str]:
    return args if step.exec_form else [*SHELL, *args]


def quoted(words: list[str]) -> str:
    """As Go prints a slice of strings with %q."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


async def run(state: StageState, step: Instruction, args: list[str]) -> None:
    """RUN command line    RUN ["program", "argument"]"""
    argv = _command(step, args)
    allowed = state.arguments.allowed(environment(state.config))
    shown = state.arguments.shown(allowed)
    recorded = [f"|{len(shown)}", *shown, *argv] if shown else argv
    container_config = changed(state.config, Cmd=recorded, Entrypoint=None)
    if await state.from_cache(container_config):
        return
    engine = state.builder.engine
    wanted = running.Run(state.image, argv, state.config, allowed)
    await _warn_of_level(state)
    async with running.container(engine, wanted) as container:
        await state.say(f" ---> Running in {container[:12]}\n")
        await running.execute(engine, container, argv, state.builder.write_output)
        layer = await asyncio.to_thread(running.changed_files, engine, container)
        await state.commit(container_config, layer, container)
    await state.say(f"Removing intermediate container {container[:12]}\n")


async def _warn_of_level(state: StageState) -> None:
    if (await state.builder.engine.runtime.version())["level"] == Level.PROCESS:
        await state.say(
            " ---> [Warning] containers are not isolated here (runtime level: process): "
            "absolute paths in RUN are the host's own files\n"
        )


async def copy(state: StageState, step: Instruction, args: list[str]) -> None:
    """COPY [--chown=user[:group]] source … destination    ADD source … destination"""
    if step.flags.get("from"):
        raise copying.CopyError("COPY --from is not supported by this engine yet: copy from the build context")
    context = state.builder.context
    planned = await asyncio.to_thread(copying.plan, step, args, context)
    container_config = changed(state.config, Cmd=nop(planned.comment, joined=True))
    if await state.from_cache(container_config):
        return
    layer = await asyncio.to_thread(copying.layer, planned, context, state.view(), state.config["WorkingDir"])
    await state.commit(container_config, layer)


Action = Callable[["StageState", Instruction, list[str]], Awaitable[None]]
ACTIONS: dict[str, Action] = {
    "add": copy,
    "arg": arg,
    "cmd": cmd,
    "copy": copy,
    "entrypoint": entrypoint,
    "env": env,
    "expose": expose,
    "label": label,
    "run": run,
    "user": user,
    "workdir": workdir,
}
