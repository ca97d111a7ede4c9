"""Bring me to section N: the state that a section of a chapter begins with, built in seconds, from nothing.

    lab.goto("4.7")

The sections of a chapter are the `##` headings of its notebook in their order, 4.13.1 is the first `###` below 4.13.
What each needs is sections/04.yaml: manifests of the chapter, images, containers. The imports and functions that the
chapter's earlier cells define are defined in the notebook, too, so that the section's own cells run.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from . import images, namespace
from . import pods as podstatus
from .errors import LabError

if TYPE_CHECKING:
    from .lab import Lab

FOLDER = Path(__file__).parent / "sections"
HEADING = re.compile(r"^(##|###) +(.+?) *$", re.MULTILINE)
READY_TIMEOUT = 30  # seconds for the pods to be ready


@dataclass(frozen=True)
class Section:
    """number: "4.7" · title · apply: manifests of the chapter, all of whose pods are waited for · build: tags of
    kubelab/hello, from sections/hello · run: names of containers of kubelab/hello:1."""

    number: str
    title: str
    apply: list[str] = field(default_factory=list)
    build: list[str] = field(default_factory=list)
    run: list[str] = field(default_factory=list)


def of_chapter(chapter: str) -> list[Section]:
    """The table of a chapter, in order. LabError: it has none."""
    path = FOLDER / f"{chapter}.yaml"
    if not path.exists():
        raise LabError(f"chapter {chapter} has no sections to go to.")
    rows = yaml.safe_load(path.read_text())
    numbers = numbered(chapter, [row["section"] for row in rows])
    return [
        Section(number, title, **{key: value for key, value in row.items() if key != "section"})
        for (number, title), row in zip(numbers, rows, strict=True)
    ]


def numbered(chapter: str, headings: list[str]) -> Iterator[tuple[str, str]]:
    """(number, title) of "## A", "### B", …: ("4.1", "A"), ("4.1.1", "B")."""
    section = below = 0
    for heading in headings:
        marks, _, title = heading.partition(" ")
        section, below = (section + 1, 0) if marks == "##" else (section, below + 1)
        yield f"{int(chapter)}.{section}" + (f".{below}" if below else ""), title


def find(chapter: str, number: str) -> Section:
    """LabError: there is no such section; it lists them."""
    sections = of_chapter(chapter)
    for found in sections:
        if found.number == number:
            return found
    listing = "\n".join(f"  {found.number:7} {found.title}" for found in sections)
    raise LabError(f"there is no section {number!r} in chapter {chapter}. There are:\n{listing}")


def bring(lab: Lab, section: Section) -> None:
    """Make the namespace, images and containers what the section begins with. The same, however often."""
    lab.nodes.restore()
    namespace.ensure(lab.core, lab.namespace)
    namespace.clear(lab.k8s, lab.namespace)
    if section.build or section.run or lab.chapter == "02":
        images.clear(lab.docker, lab.chapter)
    for tag in section.build:
        lab.docker.images.build(path=str(FOLDER / "hello"), tag=f"kubelab/hello:{tag}", buildargs={"TAG": tag}, rm=True)
    for name in section.run:
        lab.docker.containers.run(
            "kubelab/hello:1", name=name, labels=lab.labels, ports={"8080/tcp": None}, detach=True
        )
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


def definitions(notebook: Path, section: Section) -> str:
    """The imports and functions of the cells before a section, as Python: what its own cells may use."""
    if not notebook.exists():
        return ""
    found: list[str] = []
    for cell in json.loads(notebook.read_text())["cells"]:
        source = "".join(cell["source"])
        titles = [title for _, title in HEADING.findall(source)]
        if cell["cell_type"] == "markdown" and section.title in titles:
            return "\n".join(found)
        if cell["cell_type"] == "code":
            found += [ast.unparse(node) for node in _parsed(source) if _defines(node)]
    return ""


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:  # a magic, %pip or !ls
        return []


def _defines(node: ast.stmt) -> bool:
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))


def define(code: str) -> bool:
    """Run definitions in the notebook. False where this is no notebook."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    if shell is None:
        return False
    exec(compile(code, "<earlier cells>", "exec"), shell.user_ns)
    return True
