"""Blast radius: a button is locked until its blow was predicted, and the customers' requests decide who was right."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from kubelab.course import blast_prediction
from kubelab.course.errors import LabError
from kubelab.widgets import blast_radius
from kubelab.widgets.blast_radius import BlastRadius

LOST, GOOD = "lost to the end", "all answered"
ALL_OF_THE_MONOLITH = {
    "monolith": {"browse": LOST, "order": LOST, "receipts": LOST},
    "microservices": {"browse": GOOD, "order": LOST, "receipts": LOST},
}


class Blow:
    """A blow whose customers have said already what became of their requests."""

    def __init__(self, lab: object, what: str, module: str) -> None:
        self.what, self.module, self.seconds = what, module, {}
        self.loads = {
            form: SimpleNamespace(features=found, lost=lambda _: 3) for form, found in ALL_OF_THE_MONOLITH.items()
        }

    def run(self, watch: object) -> None: ...
    def repair(self) -> None: ...
    def verdicts(self) -> dict[str, dict[str, str]]:
        return ALL_OF_THE_MONOLITH


@pytest.fixture
def radius(monkeypatch: pytest.MonkeyPatch) -> Iterator[BlastRadius]:
    monkeypatch.setattr(blast_radius, "Blow", Blow)
    monkeypatch.setattr(blast_radius, "memory", lambda lab: {})
    made = BlastRadius(SimpleNamespace(namespace="lab", keep=lambda score: score))
    yield made
    made.close()


def button(radius: BlastRadius, name: str) -> dict:
    return next(each for each in radius.buttons if each["name"] == name)


def test_the_page_cannot_deal_what_was_not_predicted(radius: BlastRadius):
    assert button(radius, "crash")["locked"]
    radius._pressed(radius, {"press": "crash"}, [])
    assert "First say what will happen" in radius.said and radius.results == []
    radius._pressed(radius, {"predict": "crash", "module": "payments", "answer": "nobody"}, [])
    assert "none of the answers" in radius.said and button(radius, "crash")["locked"]
    radius._pressed(radius, {"predict": "crash", "module": "payments", "answer": "same"}, [])
    assert not button(radius, "crash")["locked"] and button(radius, "deadlock")["locked"]
    radius.module = "catalog"
    assert button(radius, "crash")["locked"]


def test_a_prediction_is_scored_by_the_customers_requests(radius: BlastRadius):
    with pytest.raises(LabError, match="nothing was predicted"):
        radius.score()
    radius.predict("crash", "same")
    radius._pressed(radius, {"press": "crash"}, [])
    radius.wait(5)
    verdict = radius.verdict
    assert verdict["right"] is False and verdict["failure"] == "crash" and verdict["pod"] == "payments"
    assert "monolith, browse: lost to the end" in verdict["records"]
    assert "one process" in verdict["answers"][0]["explain"] and verdict["answers"][0]["mistaken"]
    radius.predict("crash", "monolith")
    radius.deal("crash")
    radius.wait(5)
    assert radius.verdict["right"] is True and "✓ as you said" in radius.verdict["text"]


def test_code_may_deal_without_a_prediction(radius: BlastRadius):
    radius.deal("release")
    radius.wait(5)
    assert len(radius.results) == 1 and radius.verdict == {}


@pytest.mark.parametrize(
    ("whole", "parts", "expected"),
    [([LOST, LOST], [GOOD, LOST], "monolith"), ([GOOD, LOST], [LOST, LOST], "microservices"),
     ([GOOD, LOST], [GOOD, LOST], "same"), ([GOOD, GOOD], [GOOD, GOOD], "none")],
)  # fmt: skip
def test_which_answer_is_true(whole: list[str], parts: list[str], expected: str):
    verdicts = {
        form: dict(zip("ab", words, strict=True)) for form, words in (("monolith", whole), ("microservices", parts))
    }
    assert blast_prediction.truth(verdicts) == expected


def test_what_is_not_there_is_refused(radius: BlastRadius):
    with pytest.raises(LabError, match="there is no blow 'melt'"):
        radius.predict("melt", "same")
    with pytest.raises(LabError, match="there is no module 'cellar'"):
        radius.predict("crash", "same", "cellar")
