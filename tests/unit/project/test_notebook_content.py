"""CONTRIBUTING.md's rules for notebooks, as far as a test can hold them."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[3]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LONGEST_CODE, LONGEST_PROSE = 25, 30  # lines of a cell
IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"(?<![.\w])(exec|eval|__import__)\(|%run|%%capture|importlib\.import_module")

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


def cells(notebook: Path, kind: str = "") -> list[tuple[int, nbformat.NotebookNode]]:
    found = enumerate(nbformat.read(notebook, as_version=4).cells)
    return [(number, cell) for number, cell in found if kind in ("", cell.cell_type)]


def headings(text: str) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) +(.+)$", FENCE.sub("", text), re.MULTILINE)]


@each_notebook
def test_cells_are_short(notebook: Path):
    for number, cell in cells(notebook):
        longest = LONGEST_CODE if cell.cell_type == "code" else LONGEST_PROSE
        assert len(cell.source.splitlines()) <= longest, f"cell {number}: {cell.source[:60]!r}"


@each_notebook
def test_a_cell_has_one_idea(notebook: Path):
    """Two sections begin in a cell of prose at most (the end of one and the next); code defines at most two things."""
    for number, cell in cells(notebook):
        if cell.cell_type == "markdown":
            assert len([level for level, _ in headings(cell.source) if level == 2]) <= 2, f"cell {number}"
        else:
            body = ast.parse(re.sub(r"^[%!].*$", "", cell.source, flags=re.MULTILINE)).body
            defined = [node for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
            assert len(defined) <= 2, f"cell {number} defines {[node.name for node in defined]}"


@each_notebook
def test_headings_are_in_order(notebook: Path):
    """One title, at the top; no level is left out; no two sections are called the same."""
    found = [heading for _, cell in cells(notebook, "markdown") for heading in headings(cell.source)]
    levels = [level for level, _ in found]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    titles = [title for level, title in found if level == 2]
    assert len(titles) == len(set(titles))


@each_notebook
def test_the_set_up_is_one_visible_line(notebook: Path):
    chapter = notebook.stem[:2]
    code = [cell for _, cell in cells(notebook, "code")]
    assert code[0].source == f'from kubelab import course\n\nlab = course.start("{chapter}")'
    for number, cell in cells(notebook):
        hidden = cell.metadata.get("jupyter", {})
        assert not hidden.get("source_hidden") and not hidden.get("outputs_hidden"), f"cell {number} is hidden"
        assert not {"hide-input", "hide-cell", "remove-cell"} & set(cell.metadata.get("tags", [])), f"cell {number}"
        if cell.cell_type == "code":
            assert not HIDDEN.search(cell.source), f"cell {number} runs what is not shown"


@each_notebook
def test_no_errors_are_left_in_outputs(notebook: Path):
    for number, cell in cells(notebook, "code"):
        for output in cell.outputs:
            assert output.output_type != "error", f"cell {number}"
            assert output.get("name") != "stderr", f"cell {number} wrote to stderr: {output.get('text', '')[:80]}"
            assert "Traceback (most recent call last)" not in str(output), f"cell {number}"


@each_notebook
def test_every_link_resolves_within_the_repository(notebook: Path):
    """Links to elsewhere are not asked: a test needs no network; they are to be https."""
    anchors = {_anchor(title) for _, cell in cells(notebook, "markdown") for _, title in headings(cell.source)}
    for number, cell in cells(notebook, "markdown"):
        for target in LINK.findall(FENCE.sub("", cell.source)):
            path, _, anchor = target.partition("#")
            if "://" in target or target.startswith("mailto:"):
                assert target.startswith(("https://", "http://localhost", "http://127.0.0.1")), (
                    f"cell {number}: {target}"
                )
            elif path:
                assert (notebook.parent / path).resolve().is_relative_to(ROOT), f"cell {number}: {target}"
                assert (notebook.parent / path).exists(), f"cell {number}: {target}"
            else:
                assert anchor in anchors, f"cell {number}: {target}"


def _anchor(title: str) -> str:
    """JupyterLab's: the title with dashes for spaces."""
    return title.strip().replace(" ", "-")


@each_notebook
def test_every_image_has_a_text(notebook: Path):
    for number, cell in cells(notebook, "markdown"):
        for text, target in IMAGE.findall(cell.source):
            assert len(text.split()) >= 3, f"cell {number}: the image {target} has no text that says what is on it"
        for tag in HTML_IMAGE.findall(cell.source):
            assert re.search(r'alt="[^"]{10,}"', tag), f"cell {number}: {tag}"


@each_notebook
def test_prose_comes_before_each_piece_of_code(notebook: Path):
    """At most four cells of code in a row, and the first cell is prose: more is a program, and no lesson."""
    row = 0
    for number, cell in cells(notebook):
        row = row + 1 if cell.cell_type == "code" else 0
        assert row <= 4, f"cell {number} is the {row}th of code without a word in between"
    first = cells(notebook)[0][1]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


@each_notebook
def test_nothing_blocks_for_ever(notebook: Path):
    for number, cell in cells(notebook, "code"):
        lines = [line for line in cell.source.splitlines() if not line.lstrip().startswith("#")]
        code = "\n".join(lines)
        assert not re.search(r"\b(kubectl|docker)\b.*( -w\b| --watch\b| -f\b(?! \S+\.ya?ml))", code), f"cell {number}"
        assert "input(" not in code and "while True" not in code.replace('"""', ""), f"cell {number}"
