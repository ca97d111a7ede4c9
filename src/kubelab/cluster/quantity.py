"""Quantities such as `250m`, `64Mi`, `1.5`: parsed exactly, and written the way upstream writes them.

Upstream: staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go. The canonical form has no fraction, and the
largest suffix for which that is so.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_PATTERN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d+))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
SYNTAX = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class QuantityError(ValueError):
    """Not a quantity; the message is upstream's."""


@lru_cache(4096)
def _split(text: str) -> tuple[Decimal, str]:
    """The value, and the form to write it in: "binary", "decimal" or "exponent"."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise QuantityError(SYNTAX)
    number, suffix, exponent = match.groups()
    if exponent is not None:
        return Decimal(number).scaleb(int(exponent)), "exponent"
    if suffix in _BINARY:
        return Decimal(number) * 2 ** _BINARY[suffix], "binary"
    return Decimal(number).scaleb(_DECIMAL[suffix or ""]), "decimal"


def parse(value: str | int | float) -> Decimal:
    """The amount in units (cores, bytes). Raises QuantityError."""
    return _split(str(value))[0]


def milli(value: str | int | float) -> int:
    """The amount in thousandths, rounded up, as CPU is counted."""
    return int((parse(value) * 1000).to_integral_value(ROUND_CEILING))


def canonical(value: str | int | float) -> str:
    """`0.5` is `500m`, `1024Mi` is `1Gi`, `100000` is `100k`. Raises QuantityError."""
    amount, form = _split(str(value))
    if form == "binary" and amount == amount.to_integral_value() and abs(amount) >= 1024:
        return _binary(int(amount))
    amount = amount.quantize(Decimal(1).scaleb(-9), ROUND_CEILING) if amount.as_tuple().exponent < -9 else amount
    return _decimal(amount, form == "exponent")


def _binary(amount: int) -> str:
    suffix = ""
    for name in _BINARY:
        if amount % 1024:
            break
        amount, suffix = amount // 1024, name
    return f"{amount}{suffix}"


def _decimal(amount: Decimal, exponent: bool) -> str:
    if amount == 0:
        return "0"
    for name, power in reversed(_DECIMAL.items()):
        scaled = amount.scaleb(-power)
        if scaled == scaled.to_integral_value():
            suffix = (f"e{power}" if power else "") if exponent else name
            return f"{int(scaled)}{suffix}"
    raise QuantityError(SYNTAX)


def add(left: str, right: str) -> str:
    """The sum, written in the form of the left one, or of the right one where that is zero."""
    (a, form), (b, other) = _split(str(left)), _split(str(right))
    return _written(a + b, form if a else other)


def subtract(left: str, right: str) -> str:
    (a, form), (b, other) = _split(str(left)), _split(str(right))
    return _written(a - b, form if a else other)


def _written(amount: Decimal, form: str) -> str:
    if form == "binary" and amount == amount.to_integral_value() and abs(amount) >= 1024:
        return _binary(int(amount))
    return _decimal(amount, form == "exponent")
