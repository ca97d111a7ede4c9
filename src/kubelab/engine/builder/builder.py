"""The builder: walks a Dockerfile's steps and says in the stream what it does (moby: builder/dockerfile/builder.go)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from kubelab.engine.builder import instructions, steps
from kubelab.engine.builder.arguments import BuildArguments
from kubelab.engine.builder.cache import Answer, LayerCache
from kubelab.engine.builder.context import BuildContext
from kubelab.engine.builder.dockerfile import Dockerfile, Instruction, Stage, parse_trigger
from kubelab.engine.builder.image_files import ImageFiles, Owners
from kubelab.engine.builder.limits import Limits
from kubelab.engine.builder.run_config import RunConfig, as_created, changed, environment, nop, start_from
from kubelab.engine.builder.source import Source
from kubelab.engine.builder.words import expand, expand_text, expand_words
from kubelab.engine.engine import Engine
from kubelab.engine.pulling import credentials_for, pull_image
from kubelab.images.reference import parse as parse_reference
from kubelab.images.registry import RegistryError
from kubelab.images.registry.auth import Credentials
from kubelab.images.registry.manifests import Platform
from kubelab.images.store import Image, ImageNotFound, short
from kubelab.images.view import MergedView

Send = Callable[[dict[str, Any]], Awaitable[None]]  # one JSON object of the stream


class BuildFailed(Exception):
    """The build cannot go on; the message is for the stream."""


@dataclass(frozen=True)
class Options:
    """What the client asked for, beyond Dockerfile and context."""

    arguments: dict[str, str | None] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    no_cache: bool = False
    pull: bool = False  # look for a newer base image, even where there is one
    platform: str = ""
    cache_from: tuple[str, ...] = ()  # names of images; those that are not here do not count
    limits: Limits = field(default_factory=Limits)  # of RUN's containers
    credentials: Mapping[str, Credentials] = field(default_factory=dict)  # host -> who we are there


class Builder:
    """One build."""

    def __init__(
        self, engine: Engine, dockerfile: Dockerfile, context: BuildContext, options: Options, send: Send
    ) -> None:
        self.engine, self.context, self.options = engine, context, options
        self._dockerfile, self._send = dockerfile, send
        self._arguments = BuildArguments(options.arguments)
        self._stages: list[StageState] = []
        self._named: dict[str, StageState] = {}
        self._said: dict[str, Any] | None = None  # by the cache of this step, until a line takes it along
        self._instruction = ""
        self._step, self._total = 0, len(dockerfile.arguments) + sum(1 + len(s.instructions) for s in dockerfile.stages)
        self._total += len(options.labels)

    async def build(self) -> str:
        """Build every stage and return the last one's image ID. Raises BuildFailed and what the instructions raise."""
        if self._dockerfile.warnings:
            await self.write_output("stderr", ("\n".join(self._dockerfile.warnings) + "\n").encode())
        for step in self._dockerfile.arguments:
            await self._announce(step.original)
            self._declare_global(step)
        for stage in self._dockerfile.stages:
            if stage.name and stage.name in self._named:
                raise BuildFailed(f"{stage.name} stage name already used")
            last = stage is self._dockerfile.stages[-1]
            state = await self._build_stage(stage, self._label_steps() if last else ())
            if stage.name:
                self._named[stage.name] = state
            if state.image:
                await self._send({"aux": {"ID": state.image}})
        if not self._stages or not self._stages[-1].image:
            raise BuildFailed("No image was generated. Is your Dockerfile empty?")
        if unused := self._arguments.unused():
            await self.say(f"[Warning] One or more build-args [{' '.join(unused)}] were not consumed\n")
        return self._stages[-1].image

    def _declare_global(self, step: Instruction) -> None:
        for argument in step.args:
            name, equals, default = self._expanded_pair(argument, self._arguments.for_from())
            self._arguments.declare_global(name, default if equals else None)

    def _label_steps(self) -> tuple[Instruction, ...]:
        """`--label`: a LABEL step each at the end."""
        labels = sorted(self.options.labels.items())
        return tuple(Instruction("label", item, original="LABEL {}={}".format(*item), line=-1) for item in labels)

    async def _build_stage(self, stage: Stage, labels: tuple[Instruction, ...]) -> StageState:
        await self._announce(stage.original)
        state = StageState(self, await self._base(stage))
        self._stages.append(state)
        await self._run_triggers(state)
        await self.say(f" ---> {short(state.image)}\n")
        for step in (*stage.instructions, *labels):
            await self._announce(step.original)
            await self._do(state, step)
            await self.say(f" ---> {short(state.image)}\n")
        return state

    async def _do(self, state: StageState, step: Instruction) -> None:
        await instructions.ACTIONS[step.name](state, step, self._expanded(step, state))

    async def _run_triggers(self, state: StageState) -> None:
        """What the base image's ONBUILDs have kept for now."""
        triggers, state.config["OnBuild"] = state.config["OnBuild"] or [], None
        if triggers:
            await self.say(f"# Executing {len(triggers)} build trigger")
            for end in ("s", "\n") if len(triggers) > 1 else ("\n",):
                await self.say(end)
        for trigger in triggers:
            await self._do(state, parse_trigger(trigger, self._dockerfile.escape))

    async def _base(self, stage: Stage) -> str:
        """The ID of the image that a stage begins with, "" for scratch."""
        self._arguments.begin_stage()
        name = expand(stage.base, self._arguments.for_from(), self._dockerfile.escape)
        if not name:
            raise BuildFailed(f"base name ({stage.base}) should not be blank")
        if name.lower() in self._named:
            return self._named[name.lower()].image
        if name == "scratch":
            return ""
        return (await self._image(name, stage.platform)).id

    async def _image(self, name: str, platform: str = "") -> Image:
        """The image of that name; pulled where it is not here, or the client wants the newest."""
        await self.engine.base_image()
        try:
            wanted = Platform.parse(platform or self.options.platform)
        except ValueError as error:
            raise BuildFailed(f"failed to parse platform {platform or self.options.platform}: {error}") from None
        if not self.options.pull:
            with contextlib.suppress(ImageNotFound):
                return await asyncio.to_thread(self.engine.store.resolve, name)
        reference = parse_reference(name)
        credentials = credentials_for(reference, self.options.credentials)
        return await pull_image(self.engine, reference, wanted, credentials, self._send)

    async def source(self, name: str) -> Source:
        """What `COPY --from=name` takes files from: a stage by its name or number, or an image."""
        try:
            return await asyncio.to_thread(self._files, await self._from(name))
        except (BuildFailed, RegistryError, ValueError, LookupError, OSError) as error:
            raise BuildFailed(f"invalid from flag value {name}: {error}") from None

    async def _from(self, name: str) -> str:
        if name.lower() in self._named:
            return self._named[name.lower()].image
        if not re.fullmatch(r"[+-]?\d+", name):
            return (await self._image(name)).id
        if int(name) == len(self._stages) - 1:
            raise BuildFailed("refers to current build stage")
        if not 0 <= int(name) < len(self._stages):
            raise BuildFailed("index out of bounds")
        return self._stages[int(name)].image

    def cache_sources(self) -> tuple[Image, ...] | None:
        """The images of `--cache-from` that are here; None where it was not given (moby: MakeImageCache)."""
        if not self.options.cache_from:
            return None
        return tuple(filter(None, map(self.engine.store.find, self.options.cache_from)))

    def explain(self, answer: Answer) -> None:
        """Let the next line of the stream tell what the cache said of this step."""
        self._said = answer.described(self._step, self._instruction)

    def _files(self, image_id: str) -> ImageFiles:
        if not image_id:
            return ImageFiles(MergedView([]))
        store = self.engine.store
        folders, diff_ids = store.lower_dirs(image_id), reversed(store.get_image(image_id).diff_ids)
        tars = {folder: store.blob_path(diff_id) for folder, diff_id in zip(folders, diff_ids, strict=True)}
        return ImageFiles(MergedView(folders), Owners(tars))

    def _expanded(self, step: Instruction, state: StageState) -> list[str]:
        """The step's arguments with variables put in, where this instruction has them."""
        if step.name not in instructions.EXPANDED or step.line < 0:
            return list(step.args)
        if step.name == "arg":
            return ["".join(self._expanded_pair(each, self._variables(state))) for each in step.args]
        if step.name == "expose":
            variables, escape = self._variables(state), self._dockerfile.escape
            return [word for each in step.args for word in expand_words(each, variables, escape)]
        return [self.expanded(state, each) for each in step.args]

    def _expanded_pair(self, argument: str, variables: Mapping[str, str]) -> tuple[str, str, str]:
        """`name=default` of an ARG: either side has variables and quotes of its own."""
        name, equals, default = argument.partition("=")
        escape = self._dockerfile.escape
        return expand(name, variables, escape), equals, expand(default, variables, escape)

    def expanded(self, state: StageState, word: str) -> str:
        """`word` with the variables that a step of this stage may use."""
        return expand(word, self._variables(state), self._dockerfile.escape)

    def expanded_text(self, state: StageState, text: str) -> str:
        """A heredoc's text with variables put in, and quotes left alone."""
        return expand_text(text, self._variables(state), self._dockerfile.escape)

    def _variables(self, state: StageState) -> dict[str, str]:
        own = environment(state.config)
        return {**self._arguments.allowed(own), **own}

    async def _announce(self, original: str) -> None:
        self._step, self._instruction = self._step + 1, original
        await self.say(f"Step {self._step}/{self._total} : {original}")
        await self.say("\n")

    async def say(self, text: str) -> None:
        line: dict[str, Any] = {"stream": text}
        if self._said:
            line["cache"], self._said = self._said, None
        await self._send(line)

    async def send(self, line: dict[str, Any]) -> None:
        """One object of the stream that is no text."""
        await self._send(line)

    async def write_output(self, stream: str, data: bytes) -> None:
        """Pass on what a step prints; what goes to stderr is red, as dockerd has it."""
        text = data.decode(errors="replace")
        await self.say(f"\x1b[91m{text}\x1b[0m" if stream == "stderr" else text)

    @property
    def arguments(self) -> BuildArguments:
        return self._arguments


class StageState:
    """Where a stage has come to: the image so far, and the configuration of the next."""

    def __init__(self, builder: Builder, image: str) -> None:
        self.builder, self.image, self.arguments = builder, image, builder.arguments
        store = builder.engine.store
        self.config: RunConfig = start_from(store.get_image(image).run_config if image else None)
        self.command_set = False  # by a CMD of this stage
        self.author = ""
        self._cache = LayerCache(store, not builder.options.no_cache, builder.cache_sources())

    def view(self) -> MergedView:
        """The files of the image so far."""
        return MergedView(self.builder.engine.store.lower_dirs(self.image) if self.image else [])

    async def say(self, text: str) -> None:
        await self.builder.say(text)

    async def from_cache(self, container_config: RunConfig) -> bool:
        """Go on from the image that this step made before, where there is one."""
        found = await asyncio.to_thread(self._cache.find, self.image, container_config)
        self.builder.explain(found)
        if not found.hit:
            return False
        await self.say(" ---> Using cache\n")
        self.image = found.image
        return True

    async def show_container(self) -> str:
        container = steps.new_container_id()
        await self.say(f" ---> Running in {container[:12]}\n")
        return container

    async def commit_nop(self, comment: str) -> None:
        """A step that changes the configuration and no file."""
        container_config = changed(self.config, Cmd=nop(self.config, comment))
        if await self.from_cache(container_config):
            return
        container = await self.show_container()
        await self.commit(container_config, None, container)
        await self.say(f"Removing intermediate container {container[:12]}\n")

    async def commit(
        self, container_config: RunConfig, layer: BinaryIO | None, container: str = "", *, hostname: bool = True
    ) -> None:
        """Make the step's image, which records what dockerd does of its container. Closes `layer`."""
        store = self.builder.engine.store
        if container and hostname:
            base = store.get_image(self.image).run_config if self.image else None
            container_config = changed(as_created(container_config, base), Hostname=container[:12])
        try:
            self.image = await asyncio.to_thread(
                steps.commit, store, self.image, self.config, container_config, layer, container, self.author
            )
        finally:
            if layer is not None:
                layer.close()
