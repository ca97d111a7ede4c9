"""The tables of sections: their headings are the notebooks', their manifests are there, what is defined is defined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubelab.course import sections
from kubelab.course.errors import LabError
from kubelab.course.sections import HEADING, definitions, find, numbered, of_chapter

ROOT = Path(__file__).parents[3]
CHAPTERS = ("01", "02", "03", "04")


def notebook(chapter: str) -> Path:
    return next((ROOT / "notebooks").glob(f"{chapter}_*.ipynb"))


def headings(chapter: str) -> list[str]:
    cells = json.loads(notebook(chapter).read_text())["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return [f"{marks} {title}" for text in prose for marks, title in HEADING.findall(text)]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_table_has_the_notebooks_headings_in_order(chapter: str):
    """Where this fails, a heading was changed: change src/kubelab/course/sections/NN.yaml along with it."""
    assert [(s.number, s.title) for s in of_chapter(chapter)] == list(numbered(chapter, headings(chapter)))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_the_sections_need_is_there(chapter: str):
    folder = next((ROOT / "manifests").glob(f"{chapter}_*"), Path("/nowhere"))
    for section in of_chapter(chapter):
        assert [name for name in section.apply if not (folder / name).is_file()] == [], section.number
        assert not section.run or "1" in section.build
    assert (sections.FOLDER / "hello" / "Dockerfile").is_file()


def test_numbers_count_sections_and_those_below():
    assert list(numbered("04", ["## A", "### B", "### C", "## D", "### E"])) == [
        ("4.1", "A"),
        ("4.1.1", "B"),
        ("4.1.2", "C"),
        ("4.2", "D"),
        ("4.2.1", "E"),
    ]


def test_a_section_that_is_not_there_is_refused_with_the_list():
    with pytest.raises(LabError, match=r"4\.1 +Two pods"):
        find("04", "4.99")
    with pytest.raises(LabError, match="chapter 09"):
        of_chapter("09")


def test_imports_and_functions_of_earlier_cells_are_found_and_nothing_else(tmp_path: Path):
    cells = [
        {"cell_type": "code", "source": ["import json\n", "x = 1/0\n", "def f():\n    return 1\n"]},
        {"cell_type": "code", "source": ["%pip list\n"]},
        {"cell_type": "markdown", "source": ["## Here\n"]},
        {"cell_type": "code", "source": ["def g(): pass\n"]},
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": cells}))
    code = definitions(tmp_path / "n.ipynb", sections.Section("4.1", "Here"))
    assert "import json" in code and "def f" in code and "1 / 0" not in code and "def g" not in code
    assert definitions(tmp_path / "none.ipynb", sections.Section("4.1", "Here")) == ""
