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

from kubelab.engine.builder import copying, healthcheck, heredoc, running
from kubelab.engine.builder.addition import Addition
from kubelab.engine.builder.copy_sources import sources
from kubelab.engine.builder.dockerfile import Instruction
from kubelab.engine.builder.run_config import changed, environment, nop, set_variable, shell
from kubelab.engine.builder.source import Source
from kubelab.runtime.api import Level, RuntimeServiceError
from kubelab.runtime.containers import signal_number

if TYPE_CHECKING:
    from kubelab.engine.builder.builder import StageState

# Those whose variables are put in.
EXPANDED = {
    "add",
    "arg",
    "copy",
    "env",
    "expose",
    "label",
    "stopsignal",
    "user",
    "volume",
    "workdir",
}
BUILDKIT = (
    "Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled"  # moby's words
)
_REAL_TIME = re.compile(r"(SIG)?(RTMIN(\+([1-9]|1[0-5]))?|RTMAX(-([1-9]|1[0-4]))?)")
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
    if not args[0]:
        raise ValueError("cannot normalize nothing")
    path = posixpath.normpath(posixpath.join("/", state.config["WorkingDir"], args[0]))
    state.config["WorkingDir"] = path
    container_config = changed(state.config, Cmd=nop(state.config, f"WORKDIR {path}", joined=True))
    if await state.from_cache(container_config):
        return
    addition, view = Addition(state.view()), state.view()
    if view.lstat(resolved := view.resolve(path)) and not view.is_dir(resolved):
        raise ValueError(f"Cannot mkdir: {path} is not a directory")
    container = await state.show_container()
    if not view.is_dir(resolved):
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
    if ":" in port:  # as with `docker run --publish`; what is published is not the image's to say
        host, _, port = port.rpartition(":")
        if not re.fullmatch(r"(\[.*\]:|[\d.]+:)?\d*(-\d+)?", host):
            raise ValueError(f"Invalid hostPort: {host.rpartition(':')[2]}")
    match = _PORT.fullmatch(f"{port}/{protocol}" if protocol else port)
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
    state.config["Cmd"] = _command(state, step, args)
    state.command_set = state.command_set or bool(args)
    await state.commit_nop(f"CMD {quoted(state.config['Cmd'])}")


async def entrypoint(state: StageState, step: Instruction, args: list[str]) -> None:
    """ENTRYPOINT ["program", "argument"]    ENTRYPOINT command line"""
    state.config["Entrypoint"] = _command(state, step, args) if args else None
    if not state.command_set:  # a CMD of the base image was meant for its own entrypoint
        state.config["Cmd"] = None
    await state.commit_nop(f"ENTRYPOINT {quoted(state.config['Entrypoint'] or [])}")


def _command(state: StageState, step: Instruction, args: list[str]) -> list[str]:
    return args if step.exec_form else [*shell(state.config), *args]


def quoted(words: list[str]) -> str:
    """As Go prints a slice of strings with %q."""
    return "[" + " ".join(json.dumps(word, ensure_ascii=False) for word in words) + "]"


async def run(state: StageState, step: Instruction, args: list[str]) -> None:
    """RUN command line    RUN ["program", "argument"]"""
    if step.flags:
        raise ValueError(f"the --{next(iter(step.flags))} option requires BuildKit. {BUILDKIT}")
    argv = _command(state, step, args) or state.config["Cmd"] or []
    allowed = state.arguments.allowed(environment(state.config))
    shown = state.arguments.shown(allowed)
    recorded = [f"|{len(shown)}", *shown, *argv] if allowed else argv
    container_config = changed(state.config, Cmd=recorded, Entrypoint=None)
    if await state.from_cache(container_config):
        return
    engine = state.builder.engine
    if not state.image:
        await state.show_container()
        raise ValueError(running.nothing_to_run(argv[0]))
    script = heredoc.program(step.heredocs, args)
    if script[0]:
        argv = [script[0]]
    wanted = running.Run(state.image, argv, state.config, allowed, state.view(), state.builder.options.limits, script)
    await _warn_of_level(state)
    async with running.container(engine, wanted) as container:
        await state.say(f" ---> Running in {container[:12]}\n")
        await running.execute(engine, container, argv, state.builder.write_output)
        layer = await asyncio.to_thread(running.changed_files, engine, container)
        await state.commit(container_config, layer, container, hostname=False)
    await state.say(f"Removing intermediate container {container[:12]}\n")


async def _warn_of_level(state: StageState) -> None:
    if (await state.builder.engine.runtime.version())["level"] == Level.PROCESS:
        await state.say(
            " ---> [Warning] containers are not isolated here (runtime level: process): "
            "absolute paths in RUN are the host's own files\n"
        )


async def copy(state: StageState, step: Instruction, args: list[str]) -> None:
    """COPY [--from=stage|image] [--chown=user[:group]] source … destination    ADD source … destination"""
    if "chmod" in step.flags:
        raise copying.CopyError(f"the --chmod option requires BuildKit. {BUILDKIT}")
    async with sources(state, step, args) as (args, source):
        await _copy(state, step, args, source)


async def _copy(state: StageState, step: Instruction, args: list[str], source: Source) -> None:
    chown = state.builder.expanded(state, step.flags.get("chown", ""))
    planned = await asyncio.to_thread(copying.plan, step, args, chown, source)
    container_config = changed(state.config, Cmd=nop(state.config, planned.comment, joined=True))
    if await state.from_cache(container_config):
        return
    layer = await asyncio.to_thread(copying.layer, planned, source, state.view(), state.config["WorkingDir"])
    await state.commit(container_config, layer)


async def shell_form(state: StageState, step: Instruction, args: list[str]) -> None:
    """SHELL ["program", "argument"]"""
    state.config["Shell"] = args
    await state.commit_nop(f"SHELL [{' '.join(args)}]")


async def stopsignal(state: StageState, step: Instruction, args: list[str]) -> None:
    """STOPSIGNAL signal"""
    if args[0] == "0" or not _is_signal(args[0]):
        raise ValueError(f"Invalid signal: {args[0]}")
    state.config["StopSignal"] = args[0]
    await state.commit_nop(f"STOPSIGNAL {args[0]}")


def _is_signal(name: str) -> bool:
    """Moby's pkg/signal ParseSignal: any number but 0, and every name of Linux, real-time signals as RTMIN+n too."""
    if re.fullmatch(r"-?\d+", name) or _REAL_TIME.fullmatch(name.upper()):
        return True
    try:
        return bool(signal_number(name.upper()))
    except RuntimeServiceError:
        return False


async def volume(state: StageState, step: Instruction, args: list[str]) -> None:
    """VOLUME /path …    VOLUME ["/path", …]"""
    paths = [path.strip() for path in args]
    if not all(paths):
        raise ValueError("VOLUME specified can not be an empty string")
    volumes = {**(state.config["Volumes"] or {}), **{path: {} for path in paths}}
    state.config["Volumes"] = dict(sorted(volumes.items()))
    await state.commit_nop(f"VOLUME [{' '.join(paths)}]")


async def maintainer(state: StageState, step: Instruction, args: list[str]) -> None:
    """MAINTAINER name"""
    state.author = args[0]
    await state.commit_nop(f"MAINTAINER {args[0]}")


async def onbuild(state: StageState, step: Instruction, args: list[str]) -> None:
    """ONBUILD instruction"""
    state.config["OnBuild"] = [*(state.config["OnBuild"] or []), args[0]]
    await state.commit_nop(f"ONBUILD {args[0]}")


async def health(state: StageState, step: Instruction, args: list[str]) -> None:
    """HEALTHCHECK [--interval=…] [--timeout=…] [--start-period=…] [--retries=…] CMD command    HEALTHCHECK NONE"""
    before = state.config.get("Healthcheck") or {}
    if before.get("Test", ["NONE"])[0] != "NONE":
        await state.say(f"Note: overriding previous HEALTHCHECK: [{' '.join(before['Test'])}]\n")
    check = healthcheck.parse(args, step.flags, step.exec_form)
    state.config["Healthcheck"] = healthcheck.over(check, before)
    await state.commit_nop(f"HEALTHCHECK {healthcheck.shown(check)}")


Action = Callable[["StageState", Instruction, list[str]], Awaitable[None]]
ACTIONS: dict[str, Action] = {
    "add": copy,
    "arg": arg,
    "cmd": cmd,
    "copy": copy,
    "entrypoint": entrypoint,
    "env": env,
    "expose": expose,
    "healthcheck": health,
    "label": label,
    "maintainer": maintainer,
    "onbuild": onbuild,
    "run": run,
    "shell": shell_form,
    "stopsignal": stopsignal,
    "user": user,
    "volume": volume,
    "workdir": workdir,
}
