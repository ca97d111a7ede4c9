"""Patterns of `.dockerignore`.

The clients read the file and leave out what it names before they send the context (docker CLI, docker SDK). The engine
needs it for one thing: a client always sends Dockerfile and .dockerignore, because the engine reads them, and they
must not be copied where a pattern names them (moby: builder/remotecontext/detect.go). The rules of the patterns are
github.com/moby/patternmatcher's; as there, a file with one malformed pattern names nothing.

Patterns are matched by following all the places that a path may have reached in them, character by character (Go's
regexp does the same): the time grows with the product of their lengths, whatever stars a pattern has.
"""

from __future__ import annotations

import posixpath
import re

_IN_PART, _ANYTHING, _FOLDERS_OR_NONE, _FOLDERS = "*", "**", "(**/)?", "**/"
_LITERAL = re.compile(r"[^*?\\\[\]]*")
_CLASS = re.compile(r"\[\^?(?:(?:\\.|[^\\\]-])(?:-(?:\\.|[^\\\]-]))?)+\]", re.DOTALL)
Token = str | re.Pattern[str]  # a wildcard, or what one character must match


class InvalidPattern(ValueError):
    """A class without its end, or a backslash with nothing behind it."""


def read_patterns(text: str) -> list[str]:
    """The patterns of the file's text, cleaned; `!` in front of an exception stays."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip()
        if pattern:
            pattern = posixpath.normpath(pattern).lstrip("/") or "."
        patterns.append(("!" if negated else "") + pattern)
    return patterns


def ignored(path: str, patterns: list[str]) -> bool:
    """Whether the patterns leave `path` (relative, with slashes) out: the last one that matches it decides.

    A pattern that names a folder names everything in it.
    """
    parents = [path.strip("/")]
    while parent := posixpath.dirname(parents[-1]):
        parents.append(parent)
    try:
        compiled = [(pattern, _compile(pattern.removeprefix("!"))) for pattern in patterns]
    except InvalidPattern:
        return False
    result = False
    for pattern, tokens in compiled:
        if any(_matches(tokens, candidate) for candidate in parents):
            result = not pattern.startswith("!")
    return result


def _compile(pattern: str) -> list[Token]:
    """`*` and `?` stay within a part, `**` crosses parts, `[a-z]` and `\\x` as in Go's path.Match."""
    if not pattern:
        raise InvalidPattern('illegal exclusion pattern: "!"')
    if pattern.startswith("**") and (rest := pattern[2:]) and _LITERAL.fullmatch(rest) and rest[0] != "/":
        return [_ANYTHING, *(re.compile(re.escape(char)) for char in rest)]
    tokens: list[Token] = []
    at = 0
    while at < len(pattern):
        found, at = _token(pattern, at)
        tokens += found
    return tokens


def _token(pattern: str, at: int) -> tuple[list[Token], int]:
    """The tokens of what stands at `at`, and where the next begins."""
    char = pattern[at]
    if pattern.startswith("**", at):
        at += 3 if pattern.startswith("/", at + 2) else 2
        return ([_ANYTHING] if at == len(pattern) else [_FOLDERS_OR_NONE, _FOLDERS]), at
    if char == "*":
        return [_IN_PART], at + 1
    if char == "?":
        return [re.compile("[^/]", re.DOTALL)], at + 1
    if char == "[":
        return [_character_class(pattern, at)], _CLASS.match(pattern, at).end()  # type: ignore[union-attr]
    if char == "\\":
        char, at = pattern[at + 1 : at + 2], at + 1
        if not char:
            raise InvalidPattern("syntax error in pattern")
    return [re.compile(re.escape(char))], at + 1


def _character_class(pattern: str, at: int) -> re.Pattern[str]:
    match = _CLASS.match(pattern, at)
    if not match:
        raise InvalidPattern("syntax error in pattern")
    try:
        return re.compile(match[0].replace("[", "\\[").replace("\\[", "[", 1), re.DOTALL)
    except re.error as error:  # [z-a]
        raise InvalidPattern("syntax error in pattern") from error


def _matches(tokens: list[Token], path: str) -> bool:
    reached = _with_skipped(tokens, {0})
    for char in path:
        after: set[int] = set()
        for at in reached - {len(tokens)}:
            token = tokens[at]
            if isinstance(token, re.Pattern):
                after |= {at + 1} if token.match(char) else set()
            elif token == _FOLDERS:
                after |= {at, at + 1} if char == "/" else {at}
            elif token == _ANYTHING or (token == _IN_PART and char != "/"):
                after.add(at)
        reached = _with_skipped(tokens, after)
    return len(tokens) in reached


def _with_skipped(tokens: list[Token], places: set[int]) -> set[int]:
    """`places`, and those that lie behind wildcards that may stand for nothing."""
    found, todo = set(), list(places)
    while todo:
        at = todo.pop()
        if at in found:
            continue
        found.add(at)
        if at < len(tokens) and tokens[at] in (_IN_PART, _ANYTHING):
            todo.append(at + 1)
        elif at < len(tokens) and tokens[at] == _FOLDERS_OR_NONE:
            todo += [at + 1, at + 2]
    return found
