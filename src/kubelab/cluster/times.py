"""Points in time as the API writes them: metav1.Time (whole seconds) and metav1.MicroTime; and Go's durations."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(?:\d+(?:\.\d*)?(?:h|ms|m|s|us|µs|ns))+")
_PART = re.compile(r"(\d+(?:\.\d*)?)(h|ms|m|s|us|µs|ns)")


def timestamp(moment: datetime) -> str:
    """metav1.Time: `2026-01-01T00:00:00Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(moment: datetime) -> str:
    """metav1.MicroTime: `2026-01-01T00:00:00.000000Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse(text: str) -> datetime:
    """Either form, aware. Raises ValueError."""
    return datetime.fromisoformat(text)


def duration(text: str) -> float:
    """Seconds of a Go duration such as `1m30s` or `500ms`. Raises ValueError."""
    if text == "0":
        return 0.0
    if not isinstance(text, str) or not _DURATION.fullmatch(text):
        raise ValueError(f'invalid duration {text!r}: write it as Go does, such as "5s" or "1m30s"')
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
