"""The exercises of all chapters, by number: "4.3". One file a chapter."""

from __future__ import annotations

from kubelab.course.errors import LabError
from kubelab.course.exercise import Exercise

from . import ch01, ch02, ch03, ch04

EXERCISES: dict[str, Exercise] = {
    exercise.number: exercise for chapter in (ch01, ch02, ch03, ch04) for exercise in chapter.EXERCISES
}


def find(number: str) -> Exercise:
    """LabError: there is no such exercise."""
    if number not in EXERCISES:
        raise LabError(f"there is no exercise {number!r}; there are {', '.join(EXERCISES)}.")
    return EXERCISES[number]


def of_chapter(chapter: str) -> list[Exercise]:
    return [exercise for exercise in EXERCISES.values() if exercise.chapter == chapter]
