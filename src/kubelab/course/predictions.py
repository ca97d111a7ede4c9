"""Predict → trigger → observe → explain: what a student commits to before a failure, and what the records say after it.

    lab.predict("deadlock")                      # prints the question and the possible answers
    lab.predict("deadlock", "restarted")         # commits; extra questions by name: code="137", service="out"
    lab.press("deadlock", "with-probe")          # a trial begins: from here on the records count
    lab.score()                                  # waits until it is decided, prints, keeps it in the progress

For widgets, plain JSON:
    question_data("deadlock") -> {"failure", "question", "options": [{"key", "text"}]}, None where nothing is asked
    Trial.settled(now) -> bool, without blocking; then Trial.score().document() ->
        {"failure", "pod", "right": whether the main answer is, "answers": [{"question", "yours", "truth", "right",
        "explain", "mistaken"}], "records": quotes, "seconds": how long was watched, "text": all of it in words}
A button of a failure for which `question_data` is not None stays locked until an answer to it was given.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import Any

from . import pods as podstatus
from . import questions
from .aftermath import Aftermath
from .errors import LabError
from .faults import FAULTS, NODE_FAULTS, SpecFault
from .questions import FINAL, QUESTIONS, Question
from .recorder import Recorder

QUIET = 5.0  # seconds in which nothing happened before "nothing" is believed, where no probe has a say
AFTERWARDS = 1.0  # seconds for what follows at once: the service's endpoints, the pod's condition
TAKES = {"leak": 8.0, "slow-start": 10.0, "wrong-probe": 12.0, "wrong-image": 15.0, "no-memory": 10.0, "delete": 15.0}
PROBES = ("livenessProbe", "startupProbe", "readinessProbe")
NODE_NOTICED = 60.0  # seconds until the control plane holds a silent node for lost, upstream's 50 and a little


@dataclass(frozen=True)
class Prediction:
    """What a student committed to: failure, and question's key -> answer."""

    failure: str
    answers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """One question after the fact. `truth` may be an answer that was not on offer."""

    question: Question
    yours: str
    truth: str

    @property
    def right(self) -> bool:
        return self.yours == self.truth

    def words(self, key: str) -> str:
        return self.question.options.get(key) or questions.OUTCOMES.get(key) or f"something else ({key})"


@dataclass(frozen=True)
class Score:
    failure: str
    pod: str
    seconds: float
    answers: list[Answer]
    records: list[str]

    @property
    def right(self) -> bool:
        return self.answers[0].right

    def text(self) -> str:
        lines = [f"{label(self.failure)} in {self.pod}"]
        for answer in self.answers:
            lines += _paragraph(f"{answer.question.text}", "")
            lines += _paragraph(f"You said: {answer.words(answer.yours)}")
            verdict = "✓ as you said" if answer.right else "✗ not as you said"
            lines += _paragraph(f"It was:   {answer.words(answer.truth)}   {verdict}")
        lines += ["The records say:"]
        lines += [f"  · {record}" for record in self.records] or ["  · nothing about this pod, while we watched"]
        for answer in self.answers:
            lines += _paragraph(f"Why: {answer.question.explain.get(answer.truth, 'see the records.')}", "")
            if not answer.right and answer.yours in answer.question.mistaken:
                lines += _paragraph(f"And your answer? {answer.question.mistaken[answer.yours]}", "")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        return {
            "failure": self.failure,
            "pod": self.pod,
            "right": self.right,
            "seconds": round(self.seconds, 1),
            "records": self.records,
            "text": self.text(),
            "answers": [
                {
                    "question": answer.question.text,
                    "yours": answer.words(answer.yours),
                    "truth": answer.words(answer.truth),
                    "right": answer.right,
                    "explain": answer.question.explain.get(answer.truth, ""),
                    "mistaken": "" if answer.right else answer.question.mistaken.get(answer.yours, ""),
                }
                for answer in self.answers
            ],
        }


@dataclass
class Trial:
    """A failure that was caused after a prediction, under observation. `window`: seconds after which it is over."""

    prediction: Prediction
    recorder: Recorder
    pod: str
    pressed: int  # the number of the first record after the press
    began: float  # `Record.at` of the press
    window: float
    _decided: float | None = field(default=None, repr=False)  # when a final answer was first seen

    def aftermath(self, until: float = float("inf")) -> Aftermath:
        remade = isinstance(FAULTS.get(self.prediction.failure), SpecFault)
        return Aftermath(self.recorder.recording, self.pressed, self.pod, remade, until)

    def settled(self, now: float) -> bool:
        """Whether it can be scored. `now`: `recorder.now()`."""
        if now >= self.began + self.window or self.recorder.ended:
            return True
        if self._decided is None and self._final():
            self._decided = now
        return self._decided is not None and now >= self._decided + AFTERWARDS

    def _final(self) -> bool:
        after = self.aftermath()
        truth = questions.main(self.prediction.failure).measure(after)
        if truth == "replaced":
            return after.heir_ready
        if truth in ("gone", "stuck") and (after.before or {}).get("owner"):
            return False  # its owner will act
        if truth == "stuck":
            return self.prediction.failure in NODE_FAULTS  # else it is on its way out
        return truth in FINAL

    def score(self) -> Score:
        now = min(self.recorder.now(), self.began + self.window)
        after = self.aftermath(now)
        asked = {question.key: question for question in QUESTIONS[self.prediction.failure]}
        answers = [Answer(asked[key], said, asked[key].measure(after)) for key, said in self.prediction.answers.items()]
        return Score(self.prediction.failure, self.pod, now - self.began, answers, after.quotes())

    def wait(self) -> Score:
        """Block until it is settled."""
        while not self.settled(self.recorder.now()):
            self.recorder.recording.wait(len(self.recorder.recording), timeout=0.2)
        return self.score()


class Predictions:
    """A lab's: what was predicted and not yet tried, and the trial under way."""

    def __init__(self) -> None:
        self.given: dict[str, Prediction] = {}
        self.trial: Trial | None = None

    def give(self, failure: str, answers: dict[str, str]) -> Prediction:
        """Commit. LabError: there is no such failure, question or answer."""
        asked = {question.key: question for question in ask(failure)}
        for key, said in answers.items():
            if key not in asked:
                raise LabError(f"{failure} has no question {key!r}; it has {', '.join(asked)}.")
            if said not in asked[key].options:
                raise LabError(f"{said!r} is none of the answers. They are {', '.join(asked[key].options)}.")
        if "outcome" not in answers:
            raise LabError(f"the main question is not answered. Next: `lab.predict({failure!r})` prints it.")
        self.given[failure] = Prediction(failure, answers)
        return self.given[failure]

    def press(self, failure: str, pod: dict[str, Any], recorder: Recorder) -> Trial | None:
        """Called just before a failure is caused in a pod: begins the trial of its prediction, if one was given."""
        if (prediction := self.given.pop(failure, None)) is None:
            return None
        number = recorder.mark(f"{label(failure)} → {podstatus.name(pod)}", podstatus.name(pod))
        self.trial = Trial(prediction, recorder, podstatus.name(pod), number, recorder.now(), window(failure, pod))
        return self.trial

    def withdraw(self, trial: Trial) -> None:
        """The failure was not taken: the prediction is open again."""
        self.given[trial.prediction.failure] = trial.prediction
        self.trial = None


def ask(failure: str) -> tuple[Question, ...]:
    """The questions of a failure, the main one first. LabError: there are none."""
    if failure not in QUESTIONS:
        raise LabError(f"there is nothing to predict of {failure!r}; there is of {', '.join(QUESTIONS)}.")
    return QUESTIONS[failure]


def question_data(failure: str) -> dict[str, Any] | None:
    question = questions.main(failure)
    if question is None:
        return None
    options = [{"key": key, "text": text} for key, text in question.options.items()]
    return {"failure": failure, "question": question.text, "options": options}


def question_text(failure: str) -> str:
    """The questions in words, with what to type."""
    lines = [label(failure)]
    for question in ask(failure):
        extra = "" if question.key == "outcome" else f"   (also, if you like: {question.key}=…)"
        lines += [question.text + extra, *(f"  {key:10} {text}" for key, text in question.options.items())]
    return "\n".join(
        [*lines, f'Answer: lab.predict("{failure}", "{next(iter(ask(failure)[0].options))}"), or another.']
    )


def label(failure: str) -> str:
    """What a button calls the failure. A blow to both shops may be a release, which is none."""
    found = FAULTS.get(failure) or NODE_FAULTS.get(failure)
    return found.label if found else failure.capitalize()


def window(failure: str, pod: dict[str, Any]) -> float:
    """Seconds after which nothing more is to be expected of a failure, given the pod's probes and tolerations."""
    if failure in NODE_FAULTS:
        held = [found.get("tolerationSeconds") or 0 for found in pod["spec"].get("tolerations") or []]
        return NODE_NOTICED + max(held, default=0)
    spec = pod["spec"]
    probes = [container.get("livenessProbe") for container in spec["containers"]]
    slowest = max((budget(probe) for probe in probes if probe), default=0.0)
    grace = spec.get("terminationGracePeriodSeconds", 30) if slowest else 0
    waits = any(kind in container for container in spec["containers"] for kind in PROBES)
    takes = (
        QUIET if failure == "slow-start" and not waits else TAKES.get(failure, QUIET)
    )  # without one, all is said at once
    return max(takes, QUIET) + slowest + grace


def budget(probe: dict[str, Any]) -> float:
    """Seconds until a probe that fails has failed often enough, at the latest."""
    period, timeout, often = (probe.get(key) or default for key, default in _DEFAULTS)
    return (probe.get("initialDelaySeconds") or 0) + often * max(period, timeout) + timeout


_DEFAULTS = (("periodSeconds", 10), ("timeoutSeconds", 1), ("failureThreshold", 3))  # upstream's: core/v1/defaults.go


def _paragraph(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, 110, initial_indent=indent, subsequent_indent=indent + "    ", break_on_hyphens=False)
