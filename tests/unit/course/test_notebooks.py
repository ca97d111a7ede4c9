"""What every notebook keeps to, whatever engines there are."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest

from kubelab.course import look_inside

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))
NAMES = [
    "00_start_here",
    "01_monolith_vs_microservices",
    "02_images_and_layers",
    "03_pods",
    "04_replication_and_probes",
]


def code(path: Path) -> list[str]:
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_there_is_one_for_each_chapter():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_valid_and_its_first_cell_starts_the_chapter(path: Path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert code(path)[0] == f'from kubelab import course\n\nlab = course.start("{path.stem[:2]}")'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_a_client_only(path: Path):
    imported = re.findall(r"^\s*(?:from|import) (kubelab[\w.]*)(?: import (\w+))?", "\n".join(code(path)), re.MULTILINE)
    assert imported
    for module, name in imported:
        assert (module == "kubelab" and name == "course") or module.startswith(("kubelab.course", "kubelab.widgets"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_source_that_it_shows_is_there_and_short(path: Path):
    for name in re.findall(r'look_inside\("([^"]+)"\)', "\n".join(code(path))):
        assert 3 <= len(look_inside(name).text.splitlines()) <= 60, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_links_lead_somewhere(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        for target in re.findall(r"\]\(([^)]+)\)", cell.source) if cell.cell_type == "markdown" else []:
            # Upstream's files are not asked for: a test needs no network.
            assert target.startswith("https://") or (path.parent / target.partition("#")[0]).exists(), target
