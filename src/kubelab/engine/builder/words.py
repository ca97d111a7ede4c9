"""Words of a Dockerfile's line: quotes, the escape character, `$variables`.

Two steps as upstream has them (github.com/moby/buildkit, frontend/dockerfile): `split_words` keeps the quotes
(parser/line_parsers.go), `expand` takes them away and puts variables in (shell/lex.go).
"""

from __future__ import annotations

import json
from collections.abc import Mapping


class WordError(ValueError):
    """A quote or brace without its end, or a form of `${…}` that there is not."""


def split_words(text: str, escape: str) -> list[str]:
    """Split at blanks that are neither quoted nor escaped; quotes and escapes stay in the words."""
    words: list[str] = []
    word, quote, started, position = "", "", False, 0
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'":
            if position + 1 == len(text):
                break  # an escape character at the end of the line stands for nothing
            word += char + text[position + 1]
            started, position = True, position + 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            if started:
                words.append(word)
            word, started, position = "", False, position + 1
            continue
        word, started, position = word + char, True, position + 1
    return [*words, word] if started else words


def expand(word: str, variables: Mapping[str, str], escape: str) -> str:
    """Take quotes away and put variables in. Raises WordError."""
    return _expand(word, variables, escape)[0]


def expand_words(word: str, variables: Mapping[str, str], escape: str) -> list[str]:
    """As `expand`, then split at blanks that came from variables (EXPOSE)."""
    return _expand(word, variables, escape)[1]


def expand_text(text: str, variables: Mapping[str, str], escape: str) -> str:
    """Put variables into the text of a heredoc, in which quotes are nothing special. Raises WordError."""
    try:
        return _Lexer(text, variables, escape).text()
    except WordError as error:
        raise WordError(f"failed to process {json.dumps(text, ensure_ascii=False)}: {error}") from None


def _expand(word: str, variables: Mapping[str, str], escape: str) -> tuple[str, list[str]]:
    try:
        lexer = _Lexer(word, variables, escape)
        return lexer.until(""), lexer.words()
    except WordError as error:
        raise WordError(f"failed to process {json.dumps(word, ensure_ascii=False)}: {error}") from None


class _Lexer:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str) -> None:
        self._text, self._at = text, 0
        self._variables, self._escape = variables, escape
        self._words: list[str] = [""]

    def words(self) -> list[str]:
        return [word for word in self._words if word]

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _collect(self, text: str, *, splits: bool) -> str:
        for char in text:
            if splits and char.isspace():
                self._words.append("")
            else:
                self._words[-1] += char
        return text

    def until(self, stop: str) -> str:
        """Everything up to the character `stop` ("": to the end)."""
        result = ""
        while char := self._next():
            if stop and char == stop:
                return result
            if char == "'":
                result += self._collect(self._single_quoted(), splits=False)
            elif char == '"':
                result += self._collect(self._double_quoted(), splits=False)
            elif char == "$":
                result += self._collect(self._variable(), splits=True)
            elif char == self._escape:
                result += self._collect(self._next(), splits=False)
            else:
                result += self._collect(char, splits=True)
        if stop:
            raise WordError(f"unexpected end of statement while looking for matching {stop}")
        return result

    def text(self) -> str:
        result = ""
        while char := self._next():
            if char == "$":
                result += self._variable()
            elif char == self._escape and self._peek() in ("$", self._escape):
                result += self._next()
            else:
                result += char
        return result

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at)
        if end < 0:
            raise WordError("unexpected end of statement while looking for matching single-quote")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _double_quoted(self) -> str:
        result = ""
        while char := self._next():
            if char == '"':
                return result
            if char == "$":
                result += self._variable()
            elif char == self._escape:
                following = self._peek()
                result += self._next() if following in ('"', "$", self._escape) and following else char
            else:
                result += char
        raise WordError("unexpected end of statement while looking for matching double-quote")

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return self._variables.get(name, "") if name else "$"
        self._next()
        if not self._peek():
            raise WordError("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise WordError("syntax error: bad substitution")
        name, char = self._name(), self._next()
        value = self._variables.get(name)
        if char == "}":
            return value or ""
        if char == ":":
            return self._modified(name, value or None, self._next(), "empty")
        if char in ("+", "-", "?"):
            return self._modified(name, value, char, "unset")
        raise WordError("missing ':' in substitution")

    def _modified(self, name: str, value: str | None, modifier: str, allowed: str) -> str:
        """`${name:-word}`, `${name:+word}`, `${name:?message}`; without the colon an empty variable counts as set."""
        kept, self._words = self._words, [""]
        try:
            word = self.until("}")
        except WordError as error:
            raise WordError("syntax error: missing '}'") from error
        finally:
            self._words = kept
        if modifier == "+":
            return "" if value is None else word
        if modifier == "-":
            return word if value is None else value
        if modifier == "?":
            if value is None:
                raise WordError(f"{name}: {word or f'is not allowed to be {allowed}'}")
            return value
        raise WordError(f"unsupported modifier ({modifier}) in substitution")

    def _name(self) -> str:
        """Letters, digits, `_`; one digit alone where it begins with a digit."""
        start = self._at
        while (char := self._peek()) and (char.isalnum() or char == "_"):
            self._at += 1
            if self._text[start].isdigit():
                break
        return self._text[start : self._at]
