"""The quizzes: one right answer each, every answer explained, judged and kept; the widget says the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from kubelab.course.errors import LabError
from kubelab.course.progress import Progress
from kubelab.course.quizzes import Quiz, load
from kubelab.widgets.quiz import Quiz as Widget

CHAPTERS = ("01", "02", "03", "04")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_question_has_one_right_answer_and_a_reason_for_each(chapter: str):
    questions = load(chapter)
    assert 6 <= len(questions) <= 8 and len({found.id for found in questions}) == len(questions)
    for found in questions:
        assert len(found.answers) >= 3 and found.question, found.id
        assert sum(answer.right for answer in found.answers.values()) == 1, found.id
        assert all(len(answer.why) > 20 for answer in found.answers.values()), found.id


def test_the_right_answers_are_not_all_in_one_place():
    places = [found.right for chapter in CHAPTERS for found in load(chapter)]
    assert max(map(places.count, "abc")) <= len(places) / 2


def test_an_answer_is_judged_with_its_reason_and_kept(tmp_path: Path):
    quiz = Quiz("04", Progress(tmp_path))
    question = next(found for found in quiz.questions if found.id == "crashloop")
    wrong = next(letter for letter in question.answers if letter != question.right)
    assert quiz.answer("crashloop", wrong).text().startswith("✗ No.")
    right = quiz.answer("crashloop", question.right)
    assert right.right and "up to 300" in right.text()
    kept = Progress(tmp_path).read()["quiz"]["04/crashloop"]
    assert kept["tries"] == 2 and kept["right"] and not kept["first"]


def test_a_wrong_answer_does_not_give_the_right_one_away(tmp_path: Path):
    for chapter in CHAPTERS:
        quiz = Quiz(chapter, Progress(tmp_path))
        for found in quiz.questions:
            wrong = next(letter for letter in found.answers if letter != found.right)
            assert found.answers[found.right].text not in quiz.answer(found.id, wrong).text()


def test_what_is_not_there_is_refused(tmp_path: Path):
    quiz = Quiz("04", Progress(tmp_path))
    with pytest.raises(LabError, match="there are readiness-restarts"):
        quiz.answer("nothing", "a")
    with pytest.raises(LabError, match="none of the answers"):
        quiz.answer("crashloop", "z")
    with pytest.raises(LabError, match="has no quiz"):
        load("09")
    assert Progress(tmp_path).read()["quiz"] == {}


def test_the_widget_judges_what_the_page_sends(tmp_path: Path):
    widget = Widget(SimpleNamespace(chapter="04", namespace="lab", progress=Progress(tmp_path)))
    right = next(found for found in load("04") if found.id == "oom").right
    widget._pressed(widget, {"press": "answer", "id": "oom", "letter": right}, [])
    assert widget.judged["oom"]["right"] and widget.judged["oom"]["text"] in widget.text()
    widget._pressed(widget, {"press": "answer", "id": "oom", "letter": "z"}, [])
    assert "none of the answers" in widget.said and widget.judged["oom"]["right"]
    assert all("why" not in answer for found in widget.questions for answer in found["answers"])
    widget.close()
