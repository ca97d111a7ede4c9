"""HEALTHCHECK: its line as Docker's HealthConfig, and the way the history shows it.

Rules from buildkit's frontend/dockerfile/instructions/parse.go (parseHealthcheck); times are Go's (time.ParseDuration,
Duration.String) and are kept in nanoseconds, as the API has them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

HealthConfig = dict[str, Any]  # Test, and where they are set Interval, Timeout, StartPeriod (nanoseconds), Retries
DURATIONS = {"interval": "Interval", "timeout": "Timeout", "start-period": "StartPeriod"}
FLAGS = {*DURATIONS, "retries"}
MINIMUM = 1_000_000  # nanoseconds
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"(?P<sign>[+-]?)(?P<parts>0|(?:{_PART.pattern})+)")


def parse(args: Iterable[str], flags: Mapping[str, str], exec_form: bool) -> HealthConfig:
    """`args`: `NONE`, or `CMD` and the command. Raises ValueError with upstream's words."""
    kind, *command = args
    if kind.upper() == "NONE":
        if command:
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return {"Test": ["NONE"]}
    for flag in flags:
        if flag not in FLAGS:
            raise ValueError(f"Unknown flag: {flag}")
    if kind.upper() != "CMD":
        raise ValueError(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not command:
        raise ValueError("Missing command after HEALTHCHECK CMD")
    times = {name: _interval(flag, flags.get(flag, "")) for flag, name in DURATIONS.items()}
    found = {"Test": ["CMD" if exec_form else "CMD-SHELL", *command], **times, "Retries": _retries(flags)}
    return {name: value for name, value in found.items() if value}


def _interval(flag: str, text: str) -> int:
    if not text:
        return 0
    found = nanoseconds(text)
    if found < MINIMUM:
        raise ValueError(f'Interval "{flag}" cannot be less than 1ms')
    return found


def _retries(flags: Mapping[str, str]) -> int:
    text = flags.get("retries", "")
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) < 1:
        raise ValueError(f"--retries must be at least 1 (not {int(text)})")
    return int(text)


def nanoseconds(text: str) -> int:
    """Go's `1h1m1.5s`. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'time: invalid duration "{text}"')
    total = sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(match["parts"]))
    return -total if match["sign"] == "-" else total


def duration(value: int) -> str:
    """Nanoseconds as Go prints them: `1m30s`, `1.5ms`, `0s`."""
    if value == 0:
        return "0s"
    if value < 10**9:
        unit = "ms" if value >= 10**6 else "µs" if value >= 10**3 else "ns"
        return f"{_number(value, _UNITS[unit])}{unit}"
    minutes, rest = divmod(value, 60 * 10**9)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{start}{_number(rest, 10**9)}s"


def _number(value: int, unit: int) -> str:
    return f"{Decimal(value) / unit:f}"


def shown(check: HealthConfig) -> str:
    """Go's `%q` of a HealthConfig, which is what the history says."""
    test = " ".join(json.dumps(word, ensure_ascii=False) for word in check["Test"])
    times = " ".join(f'"{duration(check.get(name, 0))}"' for name in DURATIONS.values())
    return f"&{{[{test}] {times} {_rune(check.get('Retries', 0))}}}"


def _rune(number: int) -> str:
    """Go's `%q` of a number: the character that has it."""
    named = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 39: r"\'", 92: r"\\"}
    if number in named:
        return f"'{named[number]}'"
    if number < 32 or number == 127:
        return f"'\\x{number:02x}'"
    return f"'{chr(number)}'" if number <= 0x10FFFF and chr(number).isprintable() else f"'\\u{number:04x}'"


def over(check: HealthConfig, before: HealthConfig | None) -> HealthConfig:
    """What `check` leaves out is taken from the image's own (moby: daemon/commit.go, merge)."""
    return {**{name: value for name, value in (before or {}).items() if name != "Test"}, **check}
