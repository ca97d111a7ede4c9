"""The runtime level: which is in force, what was tried, and what the level does not give."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

from kubelab.home import Home
from kubelab.runtime import levels
from kubelab.runtime.api import Level, RuntimeServiceError
from kubelab.settings import level

from .finding import Finding, State


def examine(home: Home, *, running: bool) -> Iterator[Finding]:
    forced = os.environ.get(levels.VARIABLE)
    if forced:
        yield Finding("runtime level", f"{levels.VARIABLE}={forced} forces it")
    if running:
        yield from _of_the_daemon(home)
    else:
        try:
            attempt = levels.try_namespaces(home.runtime)
            yield from _attempt(attempt)
            yield from _stored(home, forced or (Level.NAMESPACES if attempt.works else Level.PROCESS))
        except OSError as error:
            yield Finding(
                "runtime level", f"it could not be tried: {error}", State.FAILED, "Set KUBELAB_HOME elsewhere."
            )


def _stored(home: Home, found: str) -> Iterator[Finding]:
    """Whether a start now, which would be at the level `found`, takes up what is stored."""
    stored = level.made_at(home)
    if stored in ("", found):
        return
    text = f"the state in {home.path} was made at {stored}, and a start would find {found}: it is refused"
    yield Finding("runtime level", text, State.FAILED, f"Next: {level.next_step(stored)}")


def _of_the_daemon(home: Home) -> Iterator[Finding]:
    try:
        version = asyncio.run(_version(home))
    except (OSError, RuntimeServiceError) as error:
        yield Finding(
            "runtime level", f"the runtime does not answer: {error}", State.FAILED, "Run `kubelab logs runtime`."
        )
        return
    yield Finding("runtime level", f"{version['level']} is in force, user namespace {version['uid_map']}")
    for each in version["tried"]:
        attempt = {**each, "level": Level(each["level"]), "steps": tuple(each["steps"])}
        yield from _attempt(levels.Attempt(**attempt))
    if version["enforced"]:
        text = f"cgroups of version {version['cgroup']} enforce: {', '.join(version['enforced'])}"
        yield Finding("cgroups", text)
    else:
        yield Finding("cgroups", "none may be written here", State.NOTE)
    for name, value in version["limits"].items():
        yield Finding("", f"{name}: {value}")


def _attempt(attempt: levels.Attempt) -> Iterator[Finding]:
    if attempt.works:
        yield Finding("tried", levels.explain(attempt))
    else:
        text = f"level {attempt.level}: {attempt.failed} failed ({attempt.error})"
        yield Finding("tried", text, State.NOTE, attempt.advice)


async def _version(home: Home) -> dict[str, Any]:
    from kubelab.runtime.client import RuntimeClient

    async with RuntimeClient(home.runtime_socket) as runtime:
        return await runtime.version()
