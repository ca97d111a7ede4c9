"""Starts the engines as parallel as their needs allow, restarts what crashes, stops all, loses a node on request."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kubelab.home import Home
from kubelab.settings import files, level
from kubelab.settings.profiles import PROFILES

from .base_image import make_base_image
from .child import Child, StartError, describe
from .units import CONTROL_PLANE, ENGINE, RUNTIME, Unit, restarted_by_profile, units

CUT, HEAL = signal.SIGUSR1, signal.SIGUSR2  # what a node agent hears (kubelab.cluster.kubelet.cable)
BACKOFF, BACKOFF_CAP = 0.5, 30.0  # seconds before the first restart, doubling to the cap
STARTING = "starting"  # heads the lines of one start in the supervisor's log
CALM = 60.0  # seconds of running after which the back-off starts again
log = logging.getLogger(__name__)


class Refused(Exception):
    """A request that cannot be done; the message says why and what to do."""


@dataclass
class Kept:
    """A unit that is kept running. `state`: starting | ready | backoff | stopped | lost; shown as cut while a node that
    is ready has no network."""

    child: Child
    state: str = "starting"
    restarts: int = 0
    cut: bool = False
    delay: float = field(default_factory=lambda: BACKOFF)
    last_error: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Supervisor:
    def __init__(self, home: Home, profile: str, plan: dict[str, Unit] | None = None) -> None:
        self.home, self.profile = home, profile
        self.settings: files.Settings | None = None
        self._image: asyncio.Task[None] | None = None
        self.kept = {name: Kept(Child(unit, home)) for name, unit in (plan or units()).items()}

    @property
    def level(self) -> str:
        return (self.kept[RUNTIME].child.facts or {}).get("level", "")

    async def start(self) -> None:
        """Start everything. StartError, with all stopped again, where something does not come up."""
        failed: StartError | None = None
        first = not (self.home.images / "base.json").exists()
        try:
            for kept in self.kept.values():
                await kept.child.spawn()
            async with asyncio.TaskGroup() as group:
                for kept in self.kept.values():
                    group.create_task(self._bring_up(kept))
                if first:
                    group.create_task(make_base_image(self.home))
        except* StartError as errors:
            failed = next(_leaves(errors))
        if failed:
            await self.stop()
            raise failed
        for kept in self.kept.values():
            kept.task = asyncio.create_task(self._keep(kept))
        if not first:  # nobody waits to see that it is still made from this interpreter
            self._image = asyncio.create_task(make_base_image(self.home))

    async def stop(self) -> None:
        """Stop everything, the runtime last: it ends the containers."""
        for kept in self.kept.values():
            if kept.task is not None:
                kept.task.cancel()
            kept.state = "stopped"
        if self._image is not None:
            self._image.cancel()
        others = [kept.child for name, kept in self.kept.items() if name != RUNTIME]
        await asyncio.gather(*(child.stop() for child in others))
        await self.kept[RUNTIME].child.stop()

    async def restart(self, name: str) -> None:
        """End a component and start it again, as after a change of its settings."""
        kept = self._find(name)
        await self._halt(kept, "starting")
        await self._start_again(kept)

    async def stop_node(self, name: str) -> None:
        """The machine is lost: its agent gets no chance to say goodbye, and whatever ran there is gone."""
        kept = self._node(name)
        if kept.state == "lost":
            return
        await self._halt(kept, "lost", gently=False)
        kept.cut = False
        from kubelab.runtime.client import RuntimeClient

        async with RuntimeClient(self.home.runtime_socket) as runtime:
            await runtime.remove_machine(name)

    async def start_node(self, name: str) -> None:
        """Boot the machine again, with nothing of what ran on it; one that was only cut off gets its network back."""
        kept = self._node(name)
        if kept.state == "lost":
            await self._start_again(kept)
        elif kept.cut:
            await self.heal_node(name)

    async def cut_node(self, name: str) -> None:
        """The machine's network is gone: agent and containers go on, and nobody hears of them."""
        await self._set_cut(name, True)

    async def heal_node(self, name: str) -> None:
        """The machine's network is back."""
        await self._set_cut(name, False)

    async def _set_cut(self, name: str, cut: bool) -> None:
        kept = self._node(name)
        if kept.state != "ready":
            raise Refused(f"{name} is {kept.state}: only the network of a node that runs can be cut and healed")
        if kept.cut == cut:
            return
        kept.cut = cut
        from kubelab.runtime.client import RuntimeClient

        async with RuntimeClient(self.home.runtime_socket) as runtime:
            await runtime.set_link(name, up=not cut)
        kept.child.signal(CUT if cut else HEAL)

    async def set_profile(self, name: str) -> None:
        """Rewrite the settings and restart what reads them; containers go on."""
        if name not in PROFILES:
            raise Refused(f"no profile {name!r}; there are: {', '.join(PROFILES)}")
        if name == self.profile:
            return
        self.profile = name
        self._write_settings()
        for each in restarted_by_profile():
            if self.kept[each].state != "lost":
                await self.restart(each)

    def status(self) -> dict[str, Any]:
        """Everything that `kubelab status --json` shows."""
        components = [
            {
                "name": name,
                "state": "cut" if kept.cut and kept.state == "ready" else kept.state,
                "pid": kept.child.pid,
                "restarts": kept.restarts,
                "uptime_seconds": round(time.time() - kept.child.started_at, 1) if kept.child.pid else 0,
                "log": str(kept.child.log),
                "facts": kept.child.facts or {},
                "last_error": kept.last_error,
            }
            for name, kept in self.kept.items()
        ]
        return {
            "running": True,
            "home": str(self.home.path),
            "profile": self.profile,
            "level": self.level,
            "server": self.settings.server if self.settings else "",
            "components": components,
        }

    # -- starting

    async def _bring_up(self, kept: Kept) -> None:
        """Wait for its needs, let it begin, wait until it serves."""
        for need in kept.child.unit.needs:
            await self.kept[need].ready.wait()
        kept.child.begin()
        await kept.child.wait_ready()
        if kept.child.unit.name == RUNTIME and self.settings is None:
            self._write_settings()
        kept.state = "ready"
        kept.ready.set()
        if kept.cut:  # a new agent on a machine without a network
            kept.child.signal(CUT)
        log.info("%s is ready: %s", kept.child.unit.name, kept.child.facts)

    def _write_settings(self) -> None:
        _same_level(self.home, self.level)
        ports = self.settings.ports if self.settings else None
        self.settings = files.write(self.home, self.level, self.profile, ports)

    # -- keeping

    async def _keep(self, kept: Kept) -> None:
        """Restart a component whenever it ends, later each time."""
        while True:
            code = await kept.child.wait()
            kept.state, kept.last_error = "backoff", f"ended with {describe(code)}"
            kept.ready.clear()
            if time.time() - kept.child.started_at > CALM:
                kept.delay = BACKOFF
            log.warning("%s %s; back in %.1f s", kept.child.unit.name, kept.last_error, kept.delay)
            await asyncio.sleep(kept.delay)
            kept.delay = min(2 * kept.delay, BACKOFF_CAP)
            kept.restarts += 1
            try:
                await self._begin_again(kept)
            except StartError as error:
                kept.last_error = str(error)
                await kept.child.kill()
                continue
            await self._restart_parts_of(kept.child.unit.name)

    async def _begin_again(self, kept: Kept) -> None:
        kept.state = "starting"
        await kept.child.spawn()
        await self._bring_up(kept)

    async def _restart_parts_of(self, name: str) -> None:
        """What stood on a component that has died (the kubelets on the runtime) starts afresh on the new one."""
        parts = [kept for kept in self.kept.values() if name in kept.child.unit.part_of and kept.state == "ready"]
        for part in parts:
            await self.restart(part.child.unit.name)

    async def _halt(self, kept: Kept, state: str, *, gently: bool = True) -> None:
        if kept.task is not None:
            kept.task.cancel()
        kept.state = state
        kept.ready.clear()
        await (kept.child.stop() if gently else kept.child.kill())

    async def _start_again(self, kept: Kept) -> None:
        kept.delay = BACKOFF
        try:
            await self._begin_again(kept)
        except StartError as error:
            kept.last_error = str(error)
            raise
        finally:
            kept.task = asyncio.create_task(self._keep(kept))

    def _find(self, name: str) -> Kept:
        if name not in self.kept:
            raise Refused(f"no component {name!r}; there are: {', '.join(self.kept)}")
        return self.kept[name]

    def _node(self, name: str) -> Kept:
        if name in (RUNTIME, CONTROL_PLANE, ENGINE) or name not in self.kept:
            raise Refused(f"no node {name!r}; there are: {', '.join(files.NODES)}")
        return self.kept[name]


def _same_level(home: Home, found: str) -> None:
    """StartError where the state was made at another level than the one found, else remember that one."""
    stored = level.made_at(home)
    if stored not in ("", found):
        raise StartError(
            f"the state in {home.path} was made at runtime level {stored}, and this start found {found}. "
            f"Next: {level.next_step(stored)}"
        )
    level.remember(home, found)


def _leaves(group: BaseExceptionGroup[StartError]) -> Iterator[StartError]:
    for each in group.exceptions:
        if isinstance(each, StartError):
            yield each
        else:
            yield from _leaves(each)
