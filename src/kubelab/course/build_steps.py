"""Why each step of a build came from the cache or was done, as far as the build's own output tells.

The classic builder says ` ---> Using cache`, and nothing of why it did not; but its rule is simple (moby:
builder/dockerfile/dispatchers.go, image/cache/cache.go): the first step that differs is done, and all after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

SAME = "the image below and the step are the same as in an earlier build"
NO_CACHE = "no cache was to be used, or there is no earlier build of these steps"
DIFFERS = {
    "COPY": "the files that it copies, or the step itself, differ from the earlier build",
    "ADD": "the files that it adds, or the step itself, differ from the earlier build",
}
OTHER = "the step itself differs from the earlier build"
AFTER = "a step before it was done anew, so what it stands on is another image"
BASE = "names the image to begin with: nothing is done"


@dataclass(frozen=True)
class Step:
    """One step. `image`: the short ID of what it ended with, "" where the output does not tell."""

    number: int
    of: int
    instruction: str
    cached: bool
    why: str = ""
    image: str = ""


def steps(log: Iterable[dict[str, Any]]) -> list[Step]:
    """From the lines of `docker build` (the SDK's `images.build` gives them as its second value)."""
    found: list[Step] = []
    for entry in log:
        text = str(entry.get("stream", "")).strip()
        if text.startswith("Step ") and " : " in text:
            count, _, line = text.removeprefix("Step ").partition(" : ")
            number, _, of = count.partition("/")
            found.append(Step(int(number), int(of), line, False))
        elif found and text == "---> Using cache":
            found[-1] = replace(found[-1], cached=True)
        elif found and text.startswith("---> ") and not text.startswith("---> Running in"):
            found[-1] = replace(found[-1], image=text.removeprefix("---> "))
    return _explained(found)


def _explained(found: list[Step]) -> list[Step]:
    hit = any(step.cached for step in found)
    explained, done = [], False  # done: a step of this stage was done anew
    for step in found:
        word = step.instruction.split(" ", 1)[0].upper()
        if word == "FROM":
            done, why = False, BASE
        elif step.cached:
            why = SAME
        else:
            why = AFTER if done else DIFFERS.get(word, OTHER) if hit else NO_CACHE
            done = True
        explained.append(replace(step, why=why))
    return explained
