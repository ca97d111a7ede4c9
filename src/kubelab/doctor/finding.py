"""One line of the doctor's report."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    OK = "ok"
    NOTE = "note"  # works, with less
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """`topic` is one or two words, `text` what was found, `advice` what to do about it ("" where nothing is)."""

    topic: str
    text: str
    state: State = State.OK
    advice: str = ""

    def __str__(self) -> str:
        lines = [f"{self.state:6}  {self.topic:15} {self.text}"]
        if self.advice:
            lines.append(textwrap.indent(f"→ {self.advice}", " " * 24))
        return "\n".join(lines)
