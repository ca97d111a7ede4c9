"""How long ago, as `kubectl get` writes it: `5s`, `2m30s`, `3h`, `12d`.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/duration (HumanDuration).
"""

from __future__ import annotations

from datetime import datetime

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 31536000


def human_duration(seconds: float) -> str:
    """Two units at most, the second only while it matters."""
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    s = int(seconds)
    for unit, name, small, small_name, both_until, until in (
        (MINUTE, "m", 1, "s", 10, 180),
        (HOUR, "h", MINUTE, "m", 8, 48),
        (DAY, "d", HOUR, "h", 8, 2 * 365),
        (YEAR, "y", DAY, "d", 8, 10**6),
    ):
        if s < 2 * unit and unit == MINUTE:
            return f"{s}s"
        count, rest = s // unit, s % unit // small
        if count < both_until and rest:
            return f"{count}{name}{rest}{small_name}"
        if count < until:
            return f"{count}{name}"
    raise AssertionError("a duration longer than any")


def age(timestamp: str | None, now: float) -> str:
    """The time from an RFC 3339 timestamp to `now` (seconds since the epoch)."""
    if not timestamp:
        return "<unknown>"
    return human_duration(now - datetime.fromisoformat(timestamp).timestamp())
