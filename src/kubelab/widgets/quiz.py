"""The quiz of a chapter as radio buttons: an answer is judged at once, with the reason. `quiz.text()`: in words."""

from __future__ import annotations

from typing import Any

import traitlets

from kubelab.course.lab import Lab
from kubelab.course.quizzes import Quiz as Questions

from .frame import LabWidget, script, style


class Quiz(LabWidget):
    """lab: the chapter's lab, whose chapter has the questions and whose progress takes the answers."""

    _esm = script("quiz")
    _css = style("quiz")

    questions = traitlets.List().tag(sync=True)  # {"id", "question", "answers": [{"letter", "text"}]}
    judged = traitlets.Dict().tag(sync=True)  # id -> {"letter", "right", "text"}, of the newest answer

    def __init__(self, lab: Lab) -> None:
        self._quiz = Questions(lab.chapter, lab.progress)
        super().__init__(
            lab,
            f"Quiz · chapter {int(lab.chapter)}",
            questions=[
                {
                    "id": found.id,
                    "question": found.question,
                    "answers": [{"letter": letter, "text": each.text} for letter, each in found.answers.items()],
                }
                for found in self._quiz.questions
            ],
        )
        self.words = self.text()

    def press(self, action: str, id: str = "", letter: str = "", **_: Any) -> None:
        if action != "answer":
            super().press(action)
        self.answer(id, letter)

    def answer(self, id: str, letter: str) -> str:
        """Answer a question by its letter; what is to say to it. LabError: there is no such question or answer."""
        verdict = self._quiz.answer(id, letter)
        self.judged = {**self.judged, id: {"letter": letter, "right": verdict.right, "text": verdict.text()}}
        self.words = self.text()
        return verdict.text()

    def text(self) -> str:
        """The questions in words, and what was said to the answers so far."""
        verdicts = [f"{id}, {row['letter']}) {row['text']}" for id, row in self.judged.items()]
        return "\n\n".join([self._quiz.text(), *verdicts])
