"""The quiz of a chapter as radio buttons: an answer is judged at once, with the reason. `quiz.text()`: in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.quizzes import Quiz as Questions

HERE = Path(__file__).parent


class Quiz(anywidget.AnyWidget):
    """lab: the chapter's lab, whose chapter has the questions and whose progress takes the answers."""

    _esm = HERE / "quiz.js"
    _css = HERE / "quiz.css"

    chapter = traitlets.Unicode().tag(sync=True)
    questions = traitlets.List().tag(sync=True)  # {"id", "question", "answers": [{"letter", "text"}]}
    judged = traitlets.Dict().tag(sync=True)  # id -> {"letter", "right", "text"}, of the newest answer
    said = traitlets.Unicode().tag(sync=True)  # what is wrong with what was sent; "" where nothing is

    def __init__(self, lab: Lab) -> None:
        self._quiz = Questions(lab.chapter, lab.progress)
        super().__init__(
            chapter=lab.chapter,
            questions=[
                {
                    "id": found.id,
                    "question": found.question,
                    "answers": [{"letter": letter, "text": each.text} for letter, each in found.answers.items()],
                }
                for found in self._quiz.questions
            ],
        )
        self.on_msg(self._answered)

    def answer(self, id: str, letter: str) -> str:
        """Answer a question by its letter; what is to say to it. LabError: there is no such question or answer."""
        verdict = self._quiz.answer(id, letter)
        self.judged = {**self.judged, id: {"letter": letter, "right": verdict.right, "text": verdict.text()}}
        return verdict.text()

    def _answered(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        try:
            self.answer(content.get("id", ""), content.get("letter", ""))
            self.said = ""
        except LabError as error:
            self.said = str(error)

    def text(self) -> str:
        """The questions in words, and what was said to the answers so far."""
        verdicts = [f"{id}, {row['letter']}) {row['text']}" for id, row in self.judged.items()]
        return "\n\n".join([self._quiz.text(), *verdicts])

    def __repr__(self) -> str:
        return f"Quiz of chapter {self.chapter}: run the cell to use it; `lab.quiz().text()` says it in words."
