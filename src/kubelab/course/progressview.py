"""Progress as one sees it: a table a chapter in words, and the same in JupyterLab, with the file to take along.

lab.show_progress()                      # in 00_start_here: the table, a button that exports, one that imports
lab.progress.export("kubelab-progress.json"); lab.progress.load("kubelab-progress.json")     # the same as code
"""

from __future__ import annotations

import html
from typing import Any

import ipywidgets

from . import checks, quizzes
from .errors import LabError
from .progress import Progress
from .tables import Table

CHAPTERS = ("01", "02", "03", "04")


def table(progress: Progress) -> Table:
    """CHAPTER, EXERCISES, PREDICTIONS (right of those made), QUIZ (right of all)."""
    document = progress.read()
    rows = []
    for chapter in CHAPTERS:
        exercises = checks.of_chapter(chapter)
        passed = sum(bool(document["checks"].get(each.number, {}).get("passed")) for each in exercises)
        predicted = _of(document["predictions"], chapter)
        asked = len(quizzes.load(chapter))
        rows.append(
            (
                int(chapter),
                f"{passed} of {len(exercises)} passed",
                f"{sum(row['first'] for row in predicted)} of {len(predicted)} right at once",
                f"{sum(row['right'] for row in _of(document['quiz'], chapter))} of {asked} right",
            )
        )
    return Table(["CHAPTER", "EXERCISES", "PREDICTIONS", "QUIZ"], rows)


def _of(rows: dict[str, Any], chapter: str) -> list[dict[str, Any]]:
    return [row for name, row in rows.items() if name.startswith(f"{chapter}/")]


class ProgressView:
    """In JupyterLab a table with a button that exports and one that imports; `repr` is the table in words."""

    def __init__(self, progress: Progress, export_to: str = "kubelab-progress.json") -> None:
        self.progress, self.export_to = progress, export_to

    def __repr__(self) -> str:
        return repr(table(self.progress))

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        """The text stays in a saved notebook; the widget is there while the kernel is."""
        return {**self.widget()._repr_mimebundle_(), "text/plain": repr(self)}

    def widget(self) -> ipywidgets.Widget:
        """Table, export, import, and what became of them. Errors are said in the picture, not raised."""
        shown = ipywidgets.HTML(_html(table(self.progress)))
        said = ipywidgets.HTML()
        export = ipywidgets.Button(description="Export", tooltip=f"write all of it to {self.export_to}")
        load = ipywidgets.FileUpload(accept=".json", multiple=False, description="Import")

        def write(_: Any) -> None:
            said.value = f"Written to <code>{html.escape(str(self.progress.export(self.export_to)))}</code>."

        def read(change: Any) -> None:
            for file in change.new:
                try:
                    self.progress.take(bytes(file["content"]).decode(errors="replace"), file["name"])
                    shown.value, said.value = _html(table(self.progress)), "Imported: nothing that was done is lost."
                except LabError as error:
                    said.value = html.escape(str(error))

        export.on_click(write)
        load.observe(read, "value")
        return ipywidgets.VBox([shown, ipywidgets.HBox([export, load]), said])


def _html(found: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(column.title())}</th>' for column in found.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in found.rows)
    return f"<table><caption>Your progress</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
