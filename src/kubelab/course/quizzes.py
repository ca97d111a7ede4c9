"""The quiz of misconceptions of each chapter: questions with answers that say why they are right or wrong.

    quiz = lab.quiz()             # the widget; the same in words: quiz.text(), quiz.answer("crashloop", "b")
    lab.answer("crashloop", "b")  # without a widget

The questions are quiz/04.yaml and so on: a list of {"id", "question", "answers"}, each answer {"text", "why"} and, of
one, "right": true. The answers stand in an order of the question's own that is the same in every run, so that the
right one is not always the second.
"""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from .errors import LabError

if TYPE_CHECKING:
    from .progress import Progress

FOLDER = Path(__file__).parent / "quiz"
LETTERS = "abcdef"


@dataclass(frozen=True)
class Answer:
    text: str
    why: str
    right: bool


@dataclass(frozen=True)
class Question:
    """answers: letter -> answer, one of them right."""

    id: str
    question: str
    answers: dict[str, Answer]

    @property
    def right(self) -> str:
        return next(letter for letter, answer in self.answers.items() if answer.right)


@dataclass(frozen=True)
class Verdict:
    question: Question
    letter: str

    @property
    def right(self) -> bool:
        return self.question.answers[self.letter].right

    def text(self) -> str:
        """Why the answer is right or wrong; a wrong one does not give the right one away."""
        said = self.question.answers[self.letter]
        mark = "✓ Right." if self.right else "✗ No."
        return "\n".join(_wrap(f"{mark} {said.why}" + ("" if self.right else " Try again.")))


class Quiz:
    """A chapter's, for one student. chapter: "04"."""

    def __init__(self, chapter: str, progress: Progress) -> None:
        self.chapter, self.questions, self._progress = chapter, load(chapter), progress

    def answer(self, id: str, letter: str) -> Verdict:
        """Judge an answer and keep it in the progress. LabError: there is no such question or answer."""
        question = next((found for found in self.questions if found.id == id), None)
        if question is None:
            ids = ", ".join(found.id for found in self.questions)
            raise LabError(f"there is no question {id!r} in chapter {self.chapter}; there are {ids}.")
        if letter not in question.answers:
            raise LabError(f"{letter!r} is none of the answers; they are {', '.join(question.answers)}.")
        verdict = Verdict(question, letter)
        self._progress.quizzed(f"{self.chapter}/{id}", verdict.right)
        return verdict

    def text(self) -> str:
        return "\n\n".join(question_text(question) for question in self.questions)


def load(chapter: str) -> list[Question]:
    """LabError: the chapter has no quiz."""
    path = FOLDER / f"{chapter}.yaml"
    if not path.exists():
        there = ", ".join(sorted(found.stem for found in FOLDER.glob("*.yaml")))
        raise LabError(f"chapter {chapter} has no quiz; {there} have.")
    return [_question(row) for row in yaml.safe_load(path.read_text())]


def _question(row: dict[str, Any]) -> Question:
    answers = [Answer(each["text"], each["why"], bool(each.get("right"))) for each in row["answers"]]
    answers.sort(key=lambda answer: hashlib.sha256(f"{row['id']}{answer.text}".encode()).digest())
    return Question(row["id"], row["question"], dict(zip(LETTERS, answers, strict=False)))


def question_text(question: Question) -> str:
    lines = _wrap(f"{question.id}: {question.question}")
    return "\n".join([*lines, *(f"  {letter}) {answer.text}" for letter, answer in question.answers.items())])


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, 110, subsequent_indent="  ", break_on_hyphens=False)
