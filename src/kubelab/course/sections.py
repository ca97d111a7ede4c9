"""Bring me to section N: the state that a section of a chapter begins with, built in seconds, from nothing.

    lab.goto("4.7")

The sections of a chapter are the `##` headings of its notebook in their order, 4.13.1 is the first `###` below 4.13.
What each needs of the cluster is sections/04.yaml; what its cells use from earlier cells is found in the notebook, and
run in it (earlier_cells.py).
"""

from __future__ import annotations

import ast
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import earlier_cells, images, namespace
from . import pods as podstatus
from .errors import LabError

if TYPE_CHECKING:
    from .lab import Lab

FOLDER = Path(__file__).parent / "sections"
READY_TIMEOUT = 30  # seconds for the pods to be ready


@dataclass(frozen=True)
class Section:
    """number: "4.7" · heading: "## CrashLoopBackOff" · apply: manifests of the chapter, whose pods are waited for ·
    cells: headings of earlier sections, all of whose cells are run for what they leave behind: an image, a file."""

    number: str
    heading: str
    apply: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.heading.lstrip("# ")


def of_chapter(chapter: str) -> list[Section]:
    """The table of a chapter, in order. LabError: it has none."""
    path = FOLDER / f"{chapter}.yaml"
    if not path.exists():
        raise LabError(f"chapter {chapter} has no sections to go to.")
    rows = yaml.safe_load(path.read_text())
    numbers = numbered(chapter, [row["section"] for row in rows])
    return [Section(number, row.pop("section"), **row) for number, row in zip(numbers, rows, strict=True)]


def numbered(chapter: str, headings: list[str]) -> Iterator[str]:
    """The numbers of "## A", "### B", …: "4.1", "4.1.1"."""
    section = below = 0
    for heading in headings:
        section, below = (section, below + 1) if heading.startswith("### ") else (section + 1, 0)
        yield f"{int(chapter)}.{section}" + (f".{below}" if below else "")


def find(chapter: str, number: str) -> Section:
    """LabError: there is no such section; it lists them."""
    sections = of_chapter(chapter)
    for found in sections:
        if found.number == number:
            return found
    listing = "\n".join(f"  {found.number:7} {found.title}" for found in sections)
    raise LabError(f"there is no section {number!r} in chapter {chapter}. There are:\n{listing}")


def bring(lab: Lab, section: Section) -> None:
    """Make the namespace what the section begins with, and the images nothing. The same, however often."""
    lab.nodes.restore()
    namespace.ensure(lab.core, lab.namespace)
    namespace.clear(lab.k8s, lab.namespace)
    if lab.chapter == "02":
        images.clear(lab.docker, lab.chapter)
    for manifest in section.apply:
        lab.apply(manifest)
    if section.apply:
        lab.wait_for("pods", _all_there(lab), what="are ready", timeout=READY_TIMEOUT)


def _all_there(lab: Lab) -> Any:
    """Every copy that is wanted is ready, and there are no others."""
    owners = [found for kind in ("deployment", "replicaset", "replicationcontroller") for found in lab.objects(kind)]
    wanted = sum(each["spec"].get("replicas", 1) for each in owners if not each["metadata"].get("ownerReferences"))

    def reached(pods: list[dict[str, Any]]) -> bool:
        owned = [pod for pod in pods if pod["metadata"].get("ownerReferences")]
        return bool(pods) and len(owned) == wanted and all(map(podstatus.is_ready, pods))

    return reached


def earlier(notebook: Path, section: Section) -> list[ast.stmt]:
    """The statements of the cells before a section that have to run for its own to."""
    if not notebook.exists():
        return []
    return earlier_cells.needed(*earlier_cells.split(notebook, section.heading), section.cells)


def run(statements: list[ast.stmt], lab: Lab, section: Section) -> None:
    """Run statements in the notebook without showing what they print. LabError: one failed."""
    namespace = _notebook()
    namespace["lab"] = lab
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module(statements, []), f"<cells before {section.number}>", "exec"), namespace)
    except Exception as error:
        raise LabError(f"{section.number} {section.title} is not ready, an earlier cell failed: {error}") from error


def _notebook() -> dict[str, Any]:
    """The notebook's names; a dict of its own where this is no notebook."""
    try:
        from IPython import get_ipython
    except ImportError:
        return {}
    shell = get_ipython()
    return {} if shell is None else shell.user_ns
