"""What a student asks a lab for beside the chapter's cells: exercises, checks, resets, sections, the quiz.

`Lab` inherits it, so that all of it is `lab.check("4.3")`.
"""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kubernetes.client.rest import ApiException

from . import checks, exercise, images, namespace, quizzes, sections
from .errors import LabError
from .manifest import PART_OF
from .progressview import ProgressView

if TYPE_CHECKING:
    from kubelab.widgets.quiz import Quiz

    from .lab import Lab


class Study:
    def exercise(self: Lab, number: str) -> Lab:
        """Begin an exercise, or come back to it: prints the task, and returns its own lab, in its own namespace.

        What was done for it before is kept; `reset` begins anew. LabError: there is no such exercise.
        """
        found = checks.find(number)
        lab = self._lab_of(found)
        if not _is_begun(lab):
            _begin(found, lab)
        print(f"{found.number} {found.title}\n\n{task(found, lab)}\n\nThen: lab.check({number!r})")
        return lab

    def check(self: Lab, number: str) -> exercise.Verdict:
        """Look whether an exercise's outcome is there; print what was found, what was expected, and one hint."""
        found = checks.find(number)
        lab = self._lab_of(found)
        print(f"{found.number} {found.title}")
        if not _is_begun(lab):
            print(f"  It was not begun. Next: lab.exercise({number!r}).")
            return exercise.Verdict(False)
        results = exercise.findings(found, lab)
        verdict = exercise.Verdict(all(result.ok for result in results))
        print(*results, verdict, sep="\n")
        self.progress.checked(number, verdict.passed)
        return verdict

    def reset(self: Lab, what: str = "") -> None:
        """Begin anew: an exercise ("4.3"), a chapter with its exercises ("04"), or everything (""). Progress stays."""
        if "." in what:
            found = checks.find(what)
            _begin(found, self._lab_of(found))
            print(f"Exercise {what} is as at its beginning.")
            return
        everything = sorted({each.chapter for each in checks.EXERCISES.values()})
        chapters = [f"{int(what):02}"] if what.isdigit() else everything
        if what and not what.isdigit():
            raise LabError(f"{what!r} is neither an exercise, '4.3', nor a chapter, '04'.")
        for chapter in chapters:
            self._reset_chapter(chapter)
        print(f"Chapter {chapters[0]} is empty." if what else "All chapters are empty. Your progress is kept.")

    def quiz(self: Lab) -> Quiz:
        """The chapter's quiz as a widget; `lab.quiz().text()` says it in words."""
        from kubelab.widgets.quiz import Quiz  # here: widgets stand on the course, and take time to import

        return Quiz(self)

    def answer(self: Lab, question: str, letter: str) -> None:
        """Answer a question of the quiz, as `lab.answer("crashloop", "b")`, and print what is to say to it."""
        print(quizzes.Quiz(self.chapter, self.progress).answer(question, letter).text())

    def goto(self: Lab, number: str) -> None:
        """Build the state that a section of this chapter begins with, and what its cells use. LabError: it failed."""
        section = sections.find(self.chapter, number)
        sections.bring(self, section)
        notebook = next(iter(sorted((self.root / "notebooks").glob(f"{self.chapter}_*.ipynb"))), self.root)
        sections.run(sections.earlier(notebook, section), self, section)
        print(f"{section.number} {section.title}: ready to begin.")

    def show_progress(self: Lab) -> ProgressView:
        """What was done so far, a chapter a row; in JupyterLab with buttons that export and import it."""
        return ProgressView(self.progress)

    def _reset_chapter(self: Lab, chapter: str) -> None:
        self.nodes.restore()
        for found in checks.of_chapter(chapter):
            _put_away(found, self._lab_of(found))
        if self.engines.embedded or chapter == "02":
            images.clear(self.docker, chapter)
        name = f"kubelab-{chapter}"
        for there in self.core.list_namespace(label_selector=_selector()).items:
            if there.metadata.name.startswith(f"{name}-"):
                namespace.remove(self.core, there.metadata.name)
            elif there.metadata.name == name:
                namespace.clear(self.k8s, name)

    def _lab_of(self: Lab, found: exercise.Exercise) -> Lab:
        other = type(self)(found.chapter, self.engines, self.k8s, self.root, found.suffix)
        other.progress = self.progress
        return other


def folder(found: exercise.Exercise, lab: Lab) -> Path:
    """Where the student's files of an exercise are."""
    return lab.root / "exercises" / found.number


def task(found: exercise.Exercise, lab: Lab) -> str:
    return found.task.replace("NAMESPACE", lab.namespace).replace(
        "FOLDER", str(folder(found, lab).relative_to(lab.root))
    )


def _is_begun(lab: Lab) -> bool:
    try:
        return lab.core.read_namespace(lab.namespace).status.phase == "Active"
    except ApiException as error:
        if error.status == 404:
            return False
        raise


def _begin(found: exercise.Exercise, lab: Lab) -> None:
    _put_away(found, lab)
    namespace.ensure(lab.core, lab.namespace)
    if found.files:
        where = folder(found, lab)
        where.mkdir(parents=True, exist_ok=True)
        for name, text in found.files.items():
            (where / name).write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):  # the task is what is said, in the first run and in every other
        found.set_up(lab)


def _put_away(found: exercise.Exercise, lab: Lab) -> None:
    """Take away what an earlier attempt left: objects, images, what was changed outside. The student's files are kept
    beside, as exercises/2.1.before."""
    found.clean_up(lab)
    if (where := folder(found, lab)).exists():
        shutil.rmtree(before := where.with_name(f"{where.name}.before"), ignore_errors=True)
        where.rename(before)
    if _is_begun(lab):
        namespace.remove(lab.core, lab.namespace)
    for name in found.images:
        if lab.docker.images.list(name):
            lab.docker.images.remove(name, force=True)


def _selector() -> str:
    return ",".join(f"{key}={value}" for key, value in PART_OF.items())
