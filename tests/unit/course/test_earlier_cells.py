"""Which statements of earlier cells a section needs: by small notebooks, and by those of the course."""

from __future__ import annotations

import ast
import builtins
import json
from pathlib import Path

import pytest

from kubelab.course.earlier_cells import Cell, needed, split, statements
from kubelab.course.sections import earlier, of_chapter

ROOT = Path(__file__).parents[3]


def code(before: str, own: str, later: str = "", whole: tuple[str, ...] = ()) -> list[str]:
    cells = [[Cell("## A", text)] if text else [] for text in (before, own, later)]
    return [ast.unparse(node) for node in needed(*cells, whole)]


@pytest.mark.parametrize(
    ("before", "own", "expected"),
    [
        ("import json\nx = 1 / 0", "json.dumps(1)", ["import json"]),
        ("a = 1\nb = a + 1\nc = b", "print(b)", ["a = 1", "b = a + 1"]),
        ("a = 1\na = 2", "print(a)", ["a = 2"]),
        ("a = 1\na = a + 1", "print(a)", ["a = 1", "a = a + 1"]),
        ("a = 1\na += 1", "print(a)", ["a = 1", "a += 1"]),
        ("a, b = 1, 2", "print(b)", ["a, b = (1, 2)"]),
        ("k = 1\ndef f(n):\n    return n + k", "f(1)", ["k = 1", "def f(n):\n    return n + k"]),
        (
            "k = 1\nf = lambda n: [n + k for n in range(n)]",
            "f(1)",
            ["k = 1", "f = lambda n: [n + k for n in range(n)]"],
        ),
        ("n = 5", "for n in range(3):\n    print(n)", []),
        ("n = 5", "[n for n in range(3)]", []),
        ("n = 5", "n = 1\nprint(n)", []),
        (
            "with open('f') as file:\n    text = file.read()",
            "text",
            ["with open('f') as file:\n    text = file.read()"],
        ),
        ("lab = start()\na = lab.read('pod/a')", "a", ["a = lab.read('pod/a')"]),
        ("%pip list", "pass", []),
        ("show(x)", "show(y)", []),
    ],
)
def test_only_what_binds_a_name_that_is_read(before: str, own: str, expected: list[str]):
    assert code(before, own) == expected


def test_for_later_sections_only_what_asks_no_cluster():
    before = "import io\nmine = lab.read('pod/a')\ndef names():\n    return lab.objects()\nplain = {'a': 1}"
    later = "io.BytesIO(mine); names(); plain"
    assert code(before, "pass", later) == ["import io", "def names():\n    return lab.objects()", "plain = {'a': 1}"]
    assert "mine = lab.read('pod/a')" in code(before, "mine", later)


def test_a_section_that_is_run_whole_brings_what_it_uses_along():
    cells = [Cell("## A", "n = 3"), Cell("## B", "show(n)\nm = 4"), Cell("## C", "other = 1")]
    assert [ast.unparse(node) for node in needed(cells, [Cell("## D", "pass")], [], ["## B"])] == [
        "n = 3",
        "show(n)",
        "m = 4",
    ]


def test_a_notebook_is_split_at_the_nearest_heading(tmp_path: Path):
    texts = [("code", "0"), ("markdown", "## A"), ("code", "1"), ("markdown", "text\n\n### B\n"), ("code", "2")]
    texts += [("markdown", "no heading"), ("code", "3"), ("markdown", "## C"), ("code", "4")]
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": kind, "source": [text]} for kind, text in texts]}))
    before, own, later = split(path, "### B")
    assert [[(cell.heading, cell.source) for cell in part] for part in (before, own, later)] == [
        [("", "0"), ("## A", "1")],
        [("### B", "2"), ("### B", "3")],
        [("## C", "4")],
    ]


@pytest.mark.parametrize("chapter", ["01", "02", "03", "04"])
def test_who_begins_at_any_section_and_goes_on_misses_no_name(chapter: str):
    notebook = next((ROOT / "notebooks").glob(f"{chapter}_*.ipynb"))
    for section in of_chapter(chapter):
        _, own, later = split(notebook, section.heading)
        text = "\n".join(ast.unparse(node) for node in earlier(notebook, section))
        code = [s for source in (text, *(cell.source for cell in [*own, *later])) for s in statements(source)]
        bound = {"lab", *dir(builtins)}
        in_the_end = bound.union(*(statement.binds for statement in code))
        for statement in code:
            defines = isinstance(statement.node, ast.FunctionDef)  # reads when it is called
            missing = statement.reads - (in_the_end if defines else bound)
            assert not missing, f"{section.number}: {', '.join(missing)} in {ast.unparse(statement.node)}"
            bound |= statement.binds
