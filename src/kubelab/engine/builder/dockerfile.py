"""The Dockerfile's parser: text → instructions, with upstream's words for what is wrong.

Rules from moby's classic builder (buildkit of that age: frontend/dockerfile/parser and instructions/parse.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from kubelab.engine.builder import heredoc
from kubelab.engine.builder.checks import DUPLICATE, MISSING, check
from kubelab.engine.builder.heredoc import Heredoc
from kubelab.engine.builder.words import split_words

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_ANY_DIRECTIVE = re.compile(r"#[ \t]*(syntax|check|escape)[ \t]*=.*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#[ \t]*escape[ \t]*=[ \t]*(?P<char>.).*", re.IGNORECASE)
# Instructions whose arguments may be a JSON array.
_ARRAYS = {"run", "cmd", "entrypoint", "copy", "add", "shell", "volume"}


class DockerfileError(ValueError):
    """The Dockerfile cannot be built; dockerd answers HTTP 400 with this message."""


@dataclass(frozen=True)
class Instruction:
    """One step. `exec_form` says that the arguments were a JSON array; else RUN, CMD, ENTRYPOINT have one: the line."""

    name: str  # in lower case
    args: tuple[str, ...]
    flags: dict[str, str] = field(default_factory=dict)
    exec_form: bool = False
    original: str = ""  # as written, continuations joined
    line: int = 0
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Line:
    """A logical line: where it begins, its continuations joined, and the heredocs that it opened."""

    number: int
    text: str
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True)
class Stage:
    base: str
    name: str  # of `FROM base AS name`, in lower case
    original: str
    instructions: tuple[Instruction, ...]
    platform: str = ""  # of `FROM --platform=linux/arm64`


@dataclass(frozen=True)
class Dockerfile:
    stages: tuple[Stage, ...]
    arguments: tuple[Instruction, ...]  # each ARG before the first FROM
    escape: str
    warnings: tuple[str, ...]

    def until(self, target: str) -> Dockerfile:
        """What is needed to build the stage `target` ("": all). Raises DockerfileError."""
        names = [stage.name for stage in self.stages]
        if not target:
            return self
        if target.lower() not in names:
            raise DockerfileError(f"failed to reach build target {target} in Dockerfile")
        return replace(self, stages=self.stages[: names.index(target.lower()) + 1])


def parse(text: str) -> Dockerfile:
    """Parse a whole Dockerfile. Raises DockerfileError."""
    escape, lines, warnings = _logical_lines(text)
    instructions = [_instruction(line, escape) for line in lines]
    if not instructions:
        raise DockerfileError("failed to parse Dockerfile: file with no instructions")
    first = next((index for index, each in enumerate(instructions) if each.name == "from"), len(instructions))
    for instruction in instructions:
        _at_line(instruction)
    if any(each.name != "arg" for each in instructions[:first]) or first == len(instructions):
        raise DockerfileError("no build stage in current context")
    return Dockerfile(_stages(instructions[first:]), tuple(instructions[:first]), escape, tuple(warnings))


def parse_trigger(text: str, escape: str) -> Instruction:
    """Parse what an ONBUILD kept. Raises ValueError."""
    instruction = _instruction(Line(0, text), escape)
    check(instruction)
    return instruction


# -- lines


def _logical_lines(text: str) -> tuple[str, list[Line], list[str]]:
    """The escape character, the lines with continuations joined and comments left out, and warnings."""
    lines = text.removeprefix("\ufeff").splitlines()
    escape = _escape(lines)
    continued = re.compile(re.escape(escape) + r"[ \t]*$")
    found: list[Line] = []
    warnings: list[str] = []
    numbered = iter(enumerate(lines, 1))
    for number, raw in numbered:
        line, empty_inside = _without_comment(raw.lstrip()), False
        while continued.search(line) and (following := next(numbered, None)):
            line = continued.sub("", line)
            if following[1].lstrip().startswith("#"):
                line += escape  # a comment inside does not end the instruction
                continue
            if not following[1].strip():
                empty_inside, line = True, line + escape
                continue
            line += following[1]
        line = continued.sub("", line)
        if empty_inside:
            warnings.append(f"[WARNING]: Empty continuation line found in:\n    {line}")
        if line.strip():
            heredocs = tuple(_read_heredoc(each, numbered) for each in heredoc.opened(line))
            found.append(Line(number, line, heredocs))
    if warnings:
        warnings.append("[WARNING]: Empty continuation lines will become errors in a future release.")
    return escape, found, warnings


def _read_heredoc(opened: Heredoc, numbered: Iterator[tuple[int, str]]) -> Heredoc:
    content = ""
    for _, line in numbered:
        if (line.lstrip("\t") if opened.chomp else line) == opened.name:
            return replace(opened, content=content)
        content += f"{line}\n"
    raise DockerfileError(f"failed to parse Dockerfile: unterminated heredoc: {opened.name} is missing")


def _without_comment(line: str) -> str:
    return "" if line.startswith("#") else line


def _escape(lines: list[str]) -> str:
    """`# escape=` counts as long as nothing but parser directives came before it."""
    found = ""
    for line in lines:
        if not _ANY_DIRECTIVE.fullmatch(line.strip()):
            break
        if not (match := _DIRECTIVE.fullmatch(line.strip())):
            continue
        if found:
            raise DockerfileError("failed to parse Dockerfile: only one escape parser directive can be used")
        if match["char"] not in "\\`":
            raise DockerfileError(
                f"failed to parse Dockerfile: invalid escape token '{match['char']}' does not match ` or \\"
            )
        found = match["char"]
    return found or "\\"


# -- one instruction


def _instruction(line: Line, escape: str) -> Instruction:
    name, *rest = _BLANKS.split(line.text.strip(), maxsplit=1)
    name = name.lower()
    flags, text = _flags(rest[0] if rest else "", escape)
    if name == "run" and line.heredocs:
        text = heredoc.whole_command(text, line.heredocs)
    try:
        args, exec_form = _arguments(name, text, escape)
    except DockerfileError:
        raise
    except ValueError as error:
        raise DockerfileError(f"failed to parse Dockerfile: {error}") from None
    return Instruction(name, tuple(args), flags, exec_form, line.text.strip(), line.number, line.heredocs)


def _flags(text: str, escape: str) -> tuple[dict[str, str], str]:
    """The `--name=value` words at the start, and what follows them."""
    found: dict[str, str] = {}
    while text.startswith("--"):
        word = split_words(text, escape)[0]
        text = text[len(word) :].lstrip()
        if word == "--":
            break
        name, equals, value = word.removeprefix("--").partition("=")
        found[name] = DUPLICATE if name in found else value if equals else MISSING
    return found, text.strip()


def _arguments(name: str, text: str, escape: str) -> tuple[list[str], bool]:
    """The arguments as this instruction writes them, and whether they were a JSON array."""
    if name in _ARRAYS and (array := _json_array(text)) is not None:
        return array, True
    if name in ("env", "label"):
        return _pairs(name.upper(), text, escape), False
    if name == "arg":
        return split_words(text, escape), False
    if name in ("copy", "add", "expose", "from", "volume"):
        return _BLANKS.split(text) if text else [], False
    if name == "healthcheck" and text:
        kind, *command = _BLANKS.split(text, maxsplit=1)
        array = _json_array(command[0]) if command else None
        return [kind, *(command if array is None else array)], array is not None
    if name == "onbuild" and text:
        _instruction(Line(0, text), escape)  # raises where it cannot be read
    return [text] if text else [], False


def _json_array(text: str) -> list[str] | None:
    """A JSON array of strings; None where it is none, as `RUN [ -f x ]` is a command."""
    if not text.startswith("["):
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    if not all(isinstance(item, str) for item in found):
        raise ValueError("when using JSON array syntax, arrays must be comprised of strings only")
    return found


def _pairs(name: str, text: str, escape: str) -> list[str]:
    """`a=1 b=2` as [a, 1, b, 2]; the old form `a all the rest` as [a, all the rest]."""
    words = split_words(text, escape)
    if words and "=" not in words[0]:
        old_form = _BLANKS.split(text, maxsplit=1)
        if len(old_form) < 2:
            raise ValueError(f"{name} must have two arguments")
        return old_form
    for word in words:
        if "=" not in word:
            raise ValueError(f"Syntax error - can't find = in {json.dumps(word)}. Must be of the form: name=value")
    return [part for word in words for part in word.split("=", 1)]


def _at_line(instruction: Instruction) -> None:
    try:
        check(instruction)
    except ValueError as error:
        raise DockerfileError(f"dockerfile parse error line {instruction.line}: {error}") from None


def _stages(instructions: list[Instruction]) -> tuple[Stage, ...]:
    starts = [index for index, each in enumerate(instructions) if each.name == "from"]
    stages = []
    for start, end in zip(starts, [*starts[1:], len(instructions)], strict=True):
        first = instructions[start]
        name = first.args[2].lower() if len(first.args) == 3 else ""
        steps = tuple(instructions[start + 1 : end])
        stages.append(Stage(first.args[0], name, first.original, steps, first.flags.get("platform", "")))
    return tuple(stages)
