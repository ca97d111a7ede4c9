"""What a student commits to before a blow to both shops, and what the customers' requests say after it.

The scores are those of predictions.py; here the records are not the cluster's but the customers' own.
"""

from __future__ import annotations

from collections.abc import Mapping

from .blast import MODULES
from .errors import LabError
from .predictions import Answer, Score
from .questions import TEXTS, Question

GOOD = "all answered"
Verdicts = Mapping[str, Mapping[str, str]]  # form -> feature -> what became of its requests


def truth(verdicts: Verdicts) -> str:
    """The answer that is true: the form in which more features lost requests, "same" for as many, "none"."""
    losers = {form: sum(word != GOOD for word in features.values()) for form, features in verdicts.items()}
    if not any(losers.values()):
        return "none"
    most = [form for form, count in losers.items() if count == max(losers.values())]
    return most[0] if len(most) == 1 else "same"


_TEXTS = TEXTS["blast"]
QUESTION = Question("blast", _TEXTS["text"], _TEXTS["options"], lambda _: "", _TEXTS["explain"], _TEXTS["mistaken"])


def check(module: str, answer: str) -> None:
    """LabError: there is no such module or answer."""
    if module not in MODULES:
        raise LabError(f"there is no module {module!r}; there are {', '.join(MODULES)}.")
    if answer not in QUESTION.options:
        given = "\n".join(f"  {key:14} {text}" for key, text in QUESTION.options.items())
        raise LabError(f"{answer!r} is none of the answers to: {QUESTION.text}\n{given}")


def score(what: str, module: str, given: str, verdicts: Verdicts) -> Score:
    """`what`: the blow's name · `given`: the answer."""
    records = [
        f"{form}, {feature}: {word}" for form, features in verdicts.items() for feature, word in features.items()
    ]
    return Score(what, module, 0.0, [Answer(QUESTION, given, truth(verdicts))], records)
