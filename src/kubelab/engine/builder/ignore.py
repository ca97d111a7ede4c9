"""Patterns of `.dockerignore`.

The clients read the file and leave out what it names before they send the context (docker CLI, docker SDK). The engine
needs it for one thing: a client always sends Dockerfile and .dockerignore, because the engine reads them, and they
must not be copied where a pattern names them (moby: builder/remotecontext/detect.go). The rules of the patterns are
github.com/moby/patternmatcher's.
"""

from __future__ import annotations

import posixpath
import re


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
    parents = [path]
    while parent := posixpath.dirname(parents[-1]):
        parents.append(parent)
    result = False
    for pattern in patterns:
        expression = _compile(pattern.removeprefix("!"))
        if any(expression.fullmatch(candidate) for candidate in parents):
            result = not pattern.startswith("!")
    return result


def _compile(pattern: str) -> re.Pattern[str]:
    """`*` and `?` stay within a part, `**` crosses parts, `[a-z]` and `\\x` as in Go's path.Match."""
    result, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
                result += "(?:.*/)?"
            else:
                result += ".*"
            continue
        if char == "*":
            result += "[^/]*"
        elif char == "?":
            result += "[^/]"
        elif char == "[" and (end := pattern.find("]", at + 1)) > 0:
            result += "[" + pattern[at + 1 : end].replace("\\", "\\\\") + "]"
            at = end
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            result += re.escape(pattern[at])
        else:
            result += re.escape(char)
        at += 1
    return re.compile(result, re.DOTALL)
