"""Completion indexes: which are done, as the status writes them (`0,2-5`), and which come next.

Upstream: pkg/controller/job/indexed_job_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str, completions: int) -> set[int]:
    """The indexes below `completions`; what cannot be read is left out."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first) + 1, completions)))
    return found


def to_string(indexes: Iterable[int]) -> str:
    """Two neighbours are written `1,2`, three and more `1-3`."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(_run(first, last) for first, last in runs)


def _run(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}{',' if last == first + 1 else '-'}{last}"


def first_pending(count: int, completions: int, taken: set[int]) -> list[int]:
    """The `count` lowest indexes that are not taken."""
    free = (index for index in range(completions) if index not in taken)
    return [index for index, _ in zip(free, range(count), strict=False)]
