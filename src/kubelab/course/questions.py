"""What a student is asked before a failure: questions, the possible answers, and how the records decide among them.

The texts are in questions.yaml.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .aftermath import Aftermath

TEXTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
OUTCOMES: dict[str, str] = TEXTS["outcome"]["options"]
FINAL = ("restarted", "replaced", "evicted", "pending", "no-image", "gone", "stuck")  # no waiting after these


@dataclass(frozen=True)
class Question:
    """key: what `lab.predict(…, KEY="…")` calls it · options: answer -> its text · measure: the answer that the
    records give · explain: answer -> why it is so · mistaken: answer -> why one may have thought so, and what is wrong
    with it."""

    key: str
    text: str
    options: dict[str, str]
    measure: Callable[[Aftermath], str]
    explain: dict[str, str]
    mistaken: dict[str, str]


def outcome(after: Aftermath) -> str:
    """The first that applies: what ends a pod comes before what happens in it."""
    if after.evicted:
        return "evicted"
    if after.heir:
        return "replaced"
    if after.gone:
        return "gone"
    if after.restarts > 0:
        return "restarted"
    if after.terminating:
        return "stuck"
    if after.unschedulable:
        return "pending"
    if after.no_image:
        return "no-image"
    if after.unready and not after.ready_again:
        return "unready"
    return "nothing"


def exit_code(after: Aftermath) -> str:
    return str(after.ended["exitCode"]) if after.ended else "none"


def pace(after: Aftermath) -> str:
    """When a pod that starts slowly was called Ready. A container is up within the second in which it is Running."""
    if after.restarts:
        return "restarted"
    running = next((record.at for record in after.of_pod if record.state.get("status") == "Running"), None)
    if running is None or not after.ready_again:
        return "never"
    return "at-once" if after.ready_again.at - running < 2 else "later"


MEASURES = {
    "outcome": outcome,
    "code": exit_code,
    "service": lambda after: after.service,
    "slow-start": pace,
}


def _question(name: str, failure: dict[str, Any]) -> Question:
    texts = TEXTS[name]
    options = {key: texts["options"][key] for key in failure.get("options", texts["options"])}
    key = "outcome" if name == failure["question"] else name
    text = failure["text"] if name == "outcome" else texts["text"]
    return Question(key, text, options, MEASURES[name], texts["explain"], texts["mistaken"])


QUESTIONS: dict[str, tuple[Question, ...]] = {
    failure: (
        _question(row["question"], row),
        *(_question(also, {"question": ""}) for also in row.get("also", ())),
    )
    for failure, row in TEXTS["failures"].items()
}


def main(failure: str) -> Question | None:
    """The one question that must be answered before the failure; None of what is no failure (recover, node-back)."""
    return QUESTIONS.get(failure, (None,))[0]
