"""Quantities: `100m`, `1.5`, `64Mi`, `2e3`.

Upstream: apimachinery's api/resource/quantity.go. The value is an exact Fraction, in whole units (cores, bytes).
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))([eE][+-]?\d+|[a-zA-Z]*)")
_SUFFIXES = {
    "": Fraction(1),
    **{suffix: Fraction(1024) ** (i + 1) for i, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{suffix: Fraction(1000) ** (i + 1) for i, suffix in enumerate(("k", "M", "G", "T", "P", "E"))},
    "m": Fraction(1, 10**3),
    "u": Fraction(1, 10**6),
    "n": Fraction(1, 10**9),
}


def parse_quantity(text: str | int | float) -> Fraction:
    """The value in whole units. ValueError in upstream's words where it is no quantity."""
    match = _NUMBER.fullmatch(str(text))
    if match is None:
        raise ValueError(
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        )
    number, suffix = match.groups()
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return Fraction(number) * Fraction(10) ** int(suffix[1:])
    if suffix not in _SUFFIXES:
        raise ValueError("unable to parse quantity's suffix")
    return Fraction(number) * _SUFFIXES[suffix]


def round_up(value: Fraction) -> int:
    """The next whole number, as Quantity.Value() gives it."""
    return math.ceil(value)
