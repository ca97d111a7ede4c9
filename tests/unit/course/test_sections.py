"""The tables of sections: their headings are the notebooks', their manifests are there, what is defined is defined."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubelab.course.earlier_cells import HEADING
from kubelab.course.errors import LabError
from kubelab.course.sections import find, numbered, of_chapter

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
    found = headings(chapter)
    assert [(s.number, s.heading) for s in of_chapter(chapter)] == list(
        zip(numbered(chapter, found), found, strict=True)
    )


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_the_sections_need_is_there(chapter: str):
    folder = next((ROOT / "manifests").glob(f"{chapter}_*"), Path("/nowhere"))
    for section in of_chapter(chapter):
        assert [name for name in section.apply if not (folder / name).is_file()] == [], section.number
        earlier = [found.heading for found in of_chapter(chapter) if found.number != section.number]
        assert set(section.cells) <= set(earlier), section.number


def test_numbers_count_sections_and_those_below():
    numbers = numbered("04", ["## A", "### B", "### C", "## D", "### E"])
    assert list(numbers) == ["4.1", "4.1.1", "4.1.2", "4.2", "4.2.1"]


def test_a_section_that_is_not_there_is_refused_with_the_list():
    with pytest.raises(LabError, match=r"4\.1 +Two pods"):
        find("04", "4.99")
    with pytest.raises(LabError, match="chapter 09"):
        of_chapter("09")
