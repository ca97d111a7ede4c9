"""An exercise: its task, how it is set up, and how its outcome is checked; all three are the same on any engines.

A check looks at what is there, in the cluster or among the images, and never at the student's code. It yields findings
in the order in which one would look; the first that is not as it should be ends it, with one hint.

Each exercise has a namespace of its own, kubelab-04-ex3 for 4.3, so that none is in the way of a chapter's cells; those
of images have a folder of their own, exercises/2.1/, with the files to start from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import pods as podstatus

if TYPE_CHECKING:
    from .lab import Lab

TASKS = yaml.safe_load((Path(__file__).parent / "checks" / "tasks.yaml").read_text())
Object = dict[str, Any]
FOR_EVER = [
    {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute"}
    for taint in ("not-ready", "unreachable")
]


@dataclass(frozen=True)
class Finding:
    """ok · what: the thing that was looked at · found, expected: in words; expected and hint matter where not ok."""

    ok: bool
    what: str
    found: str = ""
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        if self.ok:
            return f"  ✓ {self.what}"
        return f"  ✗ {self.what}\n    found:    {self.found}\n    expected: {self.expected}\n  Hint: {self.hint}"


@dataclass(frozen=True)
class Exercise:
    """number: "4.3"; its title and task are in checks/tasks.yaml · check: yields findings · set_up: makes what the
    student starts from · files: for the folder, name -> text · images: names of images that a reset removes ·
    clean_up: takes back what is outside the namespace."""

    number: str
    check: Callable[[Lab], Iterator[Finding]]
    set_up: Callable[[Lab], None] = lambda lab: None
    files: dict[str, str] | None = None
    images: tuple[str, ...] = ()
    clean_up: Callable[[Lab], None] = lambda lab: None

    @property
    def title(self) -> str:
        return TASKS[self.number]["title"]

    @property
    def task(self) -> str:
        """Markdown; NAMESPACE and FOLDER stand for the exercise's own."""
        return TASKS[self.number]["task"]

    @property
    def chapter(self) -> str:
        return f"{int(self.number.partition('.')[0]):02}"

    @property
    def suffix(self) -> str:
        return f"ex{self.number.partition('.')[2]}"


class Verdict:
    """What a check came to. True where the exercise is solved; a notebook shows nothing more of it, for all is said."""

    def __init__(self, passed: bool) -> None:
        self.passed = passed

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return "Passed." if self.passed else "Not yet."

    def _ipython_display_(self) -> None:
        """Nothing: `lab.check` has printed what there is to say."""


def staying(documents: Iterable[Object]) -> list[Object]:
    """The same, but that pods without an owner tolerate a node that is lost for a while: no controller would make
    them again, and a chapter that loses their node is not to take away what the student has begun."""
    return [_stays(found) if found["kind"] == "Pod" else found for found in documents]


def _stays(pod: Object) -> Object:
    return {**pod, "spec": {**pod["spec"], "tolerations": [*pod["spec"].get("tolerations", []), *FOR_EVER]}}


def findings(exercise: Exercise, lab: Lab) -> list[Finding]:
    """All up to the first that is not as it should be."""
    found = []
    for finding in exercise.check(lab):
        found.append(finding)
        if not finding.ok:
            break
    return found


# -- what many checks look at: each returns a Finding


def is_there(objects: Iterable[Object], kind: str, name: str, hint: str = "") -> Finding:
    """Whether an object of that name is among those of a kind."""
    names = sorted(obj["metadata"]["name"] for obj in objects)
    return Finding(
        name in names,
        f"there is a {kind} {name}",
        ", ".join(names) or f"no {kind}",
        f"a {kind} named {name}",
        hint or f"the name in the manifest is metadata.name; in which namespace is your {kind}?",
    )


def named(objects: Iterable[Object], name: str) -> Object:
    return next(obj for obj in objects if obj["metadata"]["name"] == name)


def all_ready(pods: list[Object], what: str, count: int, hint: str) -> Finding:
    """Whether exactly so many pods are there, all of them ready."""
    ready = sum(map(podstatus.is_ready, pods))
    states = ", ".join(f"{podstatus.name(pod)} {podstatus.status(pod)}" for pod in pods) or "none"
    return Finding(ready == len(pods) == count, what, states, f"{count}, Ready", hint)


def equal(what: str, found: Any, expected: Any, hint: str) -> Finding:
    return Finding(found == expected, what, f"{found}", f"{expected}", hint)
