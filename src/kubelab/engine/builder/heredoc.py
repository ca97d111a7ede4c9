"""Heredocs: `RUN <<EOF` and `COPY <<EOF /file`, the lines up to EOF being a script or a file.

The classic builder of dockerd 20.10 knows none and stumbles over the first line of the text; today's Dockerfiles are
full of them. So they work here as docs.docker.com/reference/dockerfile describes them for BuildKit: `<<-` takes leading
tabs away, a quoted word keeps variables in the text of COPY and ADD (that of RUN is the shell's). A script that begins
with `#!` is run by the program it names; another one by the stage's shell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"""(?P<number>\d*)<<(?P<chomp>-?)(?P<quote>["']?)(?P<name>[A-Za-z_]\w*)(?P=quote)""")
INSTRUCTIONS = ("run", "copy", "add")
SCRIPT = "/dev/pipes/"  # where a script with `#!` lies while it runs


@dataclass(frozen=True)
class Heredoc:
    name: str
    expand: bool  # variables, in COPY and ADD
    chomp: bool
    content: str = ""

    @property
    def text(self) -> str:
        return re.sub(r"^\t+", "", self.content, flags=re.MULTILINE) if self.chomp else self.content


def opened(line: str) -> list[Heredoc]:
    """The heredocs that an instruction's line begins, in their order."""
    name, _, rest = line.strip().partition(" ")
    if name.lower() not in INSTRUCTIONS or rest.lstrip().startswith("["):
        return []
    return [found for word in rest.split() if (found := parse(word))]


def parse(word: str) -> Heredoc | None:
    match = _WORD.fullmatch(word)
    return Heredoc(match["name"], not match["quote"], bool(match["chomp"])) if match else None


def program(heredocs: Sequence[Heredoc], args: Sequence[str]) -> tuple[str, str]:
    """The path and text of RUN's script where it names its own interpreter, else empty ones."""
    if len(heredocs) == 1 and args[0] == heredocs[0].text and args[0].startswith("#!"):
        return SCRIPT + heredocs[0].name, args[0]
    return "", ""


def whole_command(line: str, heredocs: Sequence[Heredoc]) -> str:
    """What RUN's shell gets: the heredoc alone is the script; else the line, with the texts for the shell to read."""
    if len(heredocs) == 1 and parse(line.strip()):
        return heredocs[0].text
    return "\n".join([line, *(f"{each.content}{each.name}" for each in heredocs)])
