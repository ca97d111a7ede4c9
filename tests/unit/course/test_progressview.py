"""Progress as one sees it: the same numbers in words and in the picture; a bad file is said and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import ipywidgets

from kubelab.course import checks, quizzes
from kubelab.course.progress import Progress
from kubelab.course.progressview import ProgressView, table


def parts(view: ProgressView) -> tuple[ipywidgets.HTML, ipywidgets.Button, ipywidgets.FileUpload, ipywidgets.HTML]:
    shown, row, said = view.widget().children
    return shown, *row.children, said


def upload(name: str, content: bytes) -> tuple[dict, ...]:
    """As the page gives a file to the widget."""
    return ({"name": name, "type": "", "size": len(content), "content": content, "last_modified": datetime.now(UTC)},)


def test_the_table_counts_what_was_done(tmp_path: Path):
    progress = Progress(tmp_path)
    progress.checked("4.1", passed=True)
    progress.checked("4.2", passed=False)
    progress.predicted("04/crash/web", right=False)
    progress.predicted("04/crash/web", right=True)
    progress.quizzed("04/oom", right=True)
    row = next(row for row in table(progress).rows if row[0] == "4")
    exercises, asked = len(checks.of_chapter("04")), len(quizzes.load("04"))
    assert row[1:] == [f"1 of {exercises} passed", "0 of 1 right at once", f"1 of {asked} right"]
    assert f"1 of {exercises} passed" in parts(ProgressView(progress))[0].value


def test_in_a_saved_notebook_it_is_text(tmp_path: Path):
    bundle = ProgressView(Progress(tmp_path))._repr_mimebundle_()
    assert bundle["text/plain"].startswith("CHAPTER") and "application/vnd.jupyter.widget-view+json" in bundle


def test_export_and_import_by_button(tmp_path: Path):
    there, here = Progress(tmp_path / "a"), Progress(tmp_path / "b")
    there.checked("3.1", passed=True)
    _, export, _, said = parts(ProgressView(there, str(tmp_path / "mine.json")))
    export.click()
    assert "mine.json" in said.value
    shown, _, load, said = parts(ProgressView(here))
    load.value = upload("mine.json", (tmp_path / "mine.json").read_bytes())
    assert here.passed("3.1") and "1 of 5 passed" in shown.value and "nothing that was done is lost" in said.value
    load.value = upload("bad.json", b"{}")
    assert "bad.json holds no progress" in said.value and here.passed("3.1")
