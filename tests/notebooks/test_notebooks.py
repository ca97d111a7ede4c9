"""Every notebook, run from its first cell to its last: its outputs are those that are saved (nbval, strict).

Each runs in a process of its own, and again in reverse order, so that none works only after another.
"""

import os
import subprocess

import nbformat
import pytest
from tools.notebooks import IGNORED, NOTEBOOKS, ROOT, nbval_command

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
MOST_IGNORED = 0.25  # of a notebook's code cells


def nbval(home, *notebooks, **chosen):
    """Run nbval on the engines in `home`, with a further environment."""
    environment = {**os.environ, "KUBELAB_HOME": str(home.path), **home.shell_variables(), **chosen}
    return subprocess.run(nbval_command(notebooks), env=environment, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("notebook", PATHS, ids=lambda path: path.stem)
def test_outputs_are_those_that_are_saved(notebook, best_engines):
    done = nbval(best_engines, notebook)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.timeout(600)
def test_in_reverse_order_too(best_engines):
    done = nbval(best_engines, *reversed(PATHS))
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


@pytest.mark.parametrize("notebook", PATHS, ids=lambda path: path.stem)
def test_what_is_saved_is_normalised(notebook):
    """Nobody saved it from JupyterLab: `make notebooks` did."""
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert [output.output_type for cell in cells for output in cell.outputs if output.output_type == "error"] == []


@pytest.mark.parametrize("notebook", PATHS, ids=lambda path: path.stem)
def test_few_outputs_are_not_compared(notebook):
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    ignored = [cell for cell in cells if IGNORED in cell.metadata.get("tags", [])]
    assert len(ignored) <= MOST_IGNORED * len(cells)


def test_all_five_are_there():
    assert [path.stem[:2] for path in PATHS] == ["00", "01", "02", "03", "04"]
