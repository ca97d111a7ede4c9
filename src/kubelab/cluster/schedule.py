"""When a CronJob is due: the schedule's five fields or `@hourly` and its like, read with upstream's words for mistakes.

Upstream: github.com/robfig/cron/v3 (ParseStandard), which is stricter than other crons: no day 7, no `L`, no `#`. The
calendar's arithmetic, changes to and from summer time included, is croniter's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubelab.cluster import times

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = "@every "


class ScheduleError(ValueError):
    """What is wrong with a schedule or a time zone, as upstream says it."""


@dataclass(frozen=True)
class _Bounds:
    lowest: int
    highest: int
    names: tuple[str, ...] = ()  # the first one means `lowest`


_FIELDS = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, MONTHS), _Bounds(0, 6, DAYS))


@dataclass(frozen=True)
class Schedule:
    """Times in whole minutes of a zone, or `every` so many seconds."""

    expression: str = ""
    zone: tzinfo = UTC
    every: int = 0

    def next(self, after: datetime) -> datetime:
        """The first time later than `after`, in UTC. Raises ScheduleError where there never is one (31 February)."""
        from croniter import CroniterBadDateError, croniter  # 0.1 s and 3 MB that few clusters need

        if self.every:
            return after.replace(microsecond=0) + timedelta(seconds=self.every)
        due = croniter(self.expression, after.astimezone(self.zone))
        try:
            found: datetime = due.get_next(datetime)
            while not self._is_in(found.hour):  # an hour that summer time leaves out is not made up for
                found = due.get_next(datetime)
        except CroniterBadDateError:
            raise ScheduleError("time difference between two schedules is less than 1 second") from None
        return found.astimezone(UTC)

    def _is_in(self, hour: int) -> bool:
        hours = self.expression.split()[1]
        return hours == "*" or str(hour) in hours.split(",")


def parse(text: str, time_zone: str = "") -> Schedule:
    """Read `*/5 * * * *`, `@daily` or `@every 1h30m`. Raises ScheduleError.

    Without a time zone the times are UTC, which is the local time of a kube-controller-manager in its container.
    """
    zone = zone_of(time_zone) if time_zone else UTC
    if text.startswith(EVERY):
        return Schedule(zone=zone, every=_every(text))
    if text.startswith("@"):
        if text not in DESCRIPTORS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        return Schedule(DESCRIPTORS[text], zone)
    fields = text.split()
    if not fields:
        raise ScheduleError("empty spec string")
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    return Schedule(" ".join(_field(field, bounds) for field, bounds in zip(fields, _FIELDS, strict=True)), zone)


def zone_of(name: str) -> ZoneInfo:
    """A zone of the IANA database. Raises ScheduleError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleError(f"unknown time zone {name}") from None


def _every(text: str) -> int:
    duration = text.removeprefix(EVERY)
    try:
        return max(1, int(times.duration(duration)))
    except ValueError:
        raise ScheduleError(f'failed to parse duration {text}: time: invalid duration "{duration}"') from None


def _field(field: str, bounds: _Bounds) -> str:
    """One field in plain numbers: `mon-fri` is `1,2,3,4,5`; a bare star stays, because days of week and month that
    are both restricted mean either.
    """
    chosen: set[int] = set()
    for part in filter(None, field.split(",")):
        if part in ("*", "?", "*/1", "?/1"):
            return "*"
        chosen |= set(_range(part, bounds))
    if not chosen:
        raise ScheduleError(f"failed to parse int from {field}: it names no value")
    return ",".join(str(value) for value in sorted(chosen))


def _range(part: str, bounds: _Bounds) -> range:
    """`2`, `2-6`, `*/3`, `2-6/2`, `2/3` (from 2 on)."""
    span, *steps = part.split("/")
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {part}")
    low, *high = span.split("-")
    if len(high) > 1:
        raise ScheduleError(f"too many hyphens: {part}")
    start, end = bounds.lowest, bounds.highest
    if low not in ("*", "?"):
        start = _number_or_name(low, bounds)
        end = _number_or_name(high[0], bounds) if high else bounds.highest if steps else start
    step = _number(steps[0]) if steps else 1
    _check(start, end, step, part, bounds)
    return range(start, end + 1, step)


def _check(start: int, end: int, step: int, part: str, bounds: _Bounds) -> None:
    if start < bounds.lowest:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.lowest}): {part}")
    if end > bounds.highest:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.highest}): {part}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {part}")


def _number_or_name(text: str, bounds: _Bounds) -> int:
    if text.lower() in bounds.names:
        return bounds.lowest + bounds.names.index(text.lower())
    return _number(text)


def _number(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        problem = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise ScheduleError(f"failed to parse int from {text}: {problem}") from None
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number
