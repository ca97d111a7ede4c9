"""Bring me to section N: every section of every chapter, twice, on running engines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest

from kubelab import course
from kubelab.course import earlier_cells, pods, sections
from kubelab.course.lab import Lab
from kubelab.course.sections import Section, of_chapter
from kubelab.home import Home

# Those that begin alike are tried once; that each names files which are there, tests/unit/course/test_sections.py says.
DIFFERENT = {
    (chapter, *map(tuple, (found.apply, found.cells))): found
    for chapter in ("01", "02", "03", "04")
    for found in of_chapter(chapter)
}


@pytest.fixture(params=DIFFERENT.values(), ids=lambda found: found.number)
def section(request: pytest.FixtureRequest) -> Section:
    return request.param


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The notebook's names."""
    made: dict[str, Any] = {}
    monkeypatch.setattr(sections, "_notebook", lambda: made)
    return made


@pytest.fixture
def lab(best_engines: Home, section: Section, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("KUBELAB_HOME", str(best_engines.path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    made = course.start(f"0{section.number[0]}")
    yield made
    made.k8s.close()


def test_it_is_as_the_section_begins_however_often_and_whatever_was_there(lab: Lab, section: Section, names: dict):
    lab.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "left-over"}, "spec": LEFT_OVER})
    seen = []
    for _ in range(2):
        lab.goto(section.number)
        found = lab.objects("pod")
        assert all(map(pods.is_ready, found)) and "left-over" not in map(pods.name, found)
        assert bool(found) or not section.apply
        seen.append(sorted(pods.name(pod).rpartition("-")[0] or pods.name(pod) for pod in found))
    assert seen[0] == seen[1]
    before, own, later = earlier_cells.split(next((lab.root / "notebooks").glob(f"{lab.chapter}_*")), section.heading)
    wanted = {name for node in earlier_cells.needed(before, own, later) for name in bound_by(node)}
    assert wanted <= names.keys()


def bound_by(node: ast.stmt) -> frozenset[str]:
    (statement,) = earlier_cells.statements(ast.unparse(node))
    return statement.binds


LEFT_OVER = {
    "terminationGracePeriodSeconds": 1,
    "containers": [
        {"name": "c", "image": "kubelab/python", "command": ["sleep", "1000"], "imagePullPolicy": "IfNotPresent"}
    ],
}
