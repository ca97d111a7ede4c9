"""Indexes of a Job's pods as text: `1,3-5,7`. Upstream: pkg/apis/batch/validation/validation.go."""

from __future__ import annotations

import re


class IndexesError(ValueError):
    """What is wrong with the text, in upstream's words."""


def count_indexes(text: str, completions: int) -> int:
    """How many indexes the text names (validateIndexesFormat). Raises IndexesError."""
    total, last = 0, None
    for fragment in text.split(",") if text else ():
        first, end = interval(fragment, completions)
        if last is not None and last >= first:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        total, last = total + end - first + 1, end
    return total


def interval(text: str, completions: int) -> tuple[int, int]:
    """First and last index of `3-5`, or of `3` (parseIndexInterval). Raises IndexesError."""
    limits = text.split("-")
    if len(limits) > 2:
        rule = "an index interval can have at most two parts separated by '-'"
        raise IndexesError(f'the fragment "{text}" violates the requirement that {rule}')
    first, *rest = (_index(limit, completions) for limit in limits)
    if rest and first >= rest[0]:
        raise IndexesError(f"non-increasing order, previous: {first}, current: {rest[0]}")
    return first, rest[0] if rest else first


def _index(text: str, completions: int) -> int:
    if not re.fullmatch(r"\+?[0-9]+", text):
        raise IndexesError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise IndexesError(f'too large index: "{text}"')
    return int(text)
