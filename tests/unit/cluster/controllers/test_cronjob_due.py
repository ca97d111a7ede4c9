"""Which time of a CronJob is due: the last one missed, and only that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubelab.cluster.controllers.cronjob.due import most_recent, seconds_until_next
from kubelab.cluster.schedule import parse
from kubelab.cluster.times import parse as moment

HOURLY = parse("0 * * * *")


def cron_job(last: str = "", deadline: int | None = None) -> dict[str, Any]:
    spec = {} if deadline is None else {"startingDeadlineSeconds": deadline}
    status = {"lastScheduleTime": last} if last else {}
    return {"metadata": {"creationTimestamp": "2026-01-01T10:30:00Z"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("now", "last", "deadline", "time", "missed"),
    [
        ("10:59:59", "", None, None, 0),
        ("11:00:00", "", None, "11:00:00", 0),
        ("11:30:00", "11:00:00", None, None, 0),
        ("15:20:00", "", None, "15:00:00", 5),
        ("15:20:00", "14:00:00", None, "15:00:00", 0),
        ("15:20:00", "", 600, None, 0),  # the deadline has passed: as if it had never been due
        ("15:05:00", "", 600, "15:00:00", 0),
    ],
)
def test_the_last_missed_time(now: str, last: str, deadline: int | None, time: str | None, missed: int):
    def at(clock: str) -> datetime:
        return moment(f"2026-01-01T{clock}Z")

    made = cron_job(f"2026-01-01T{last}Z" if last else "", deadline)
    due = most_recent(made, at(now), HOURLY, within_deadline=True)
    assert (due.time, due.missed) == (at(time) if time else None, missed)


def test_a_year_of_missed_minutes_is_soon_counted():
    now = datetime(2027, 1, 1, 10, 30, 30, tzinfo=UTC)
    due = most_recent(cron_job(), now, parse("* * * * *"), within_deadline=True)
    assert due.time == datetime(2027, 1, 1, 10, 30, tzinfo=UTC)
    assert due.missed == 365 * 24 * 60


@pytest.mark.parametrize(("now", "seconds"), [("10:30:00", 1800.1), ("15:20:00", 2400.1), ("11:00:00", 3600.1)])
def test_when_to_look_again(now: str, seconds: float):
    assert seconds_until_next(cron_job(), moment(f"2026-01-01T{now}Z"), HOURLY) == pytest.approx(seconds)


def test_an_interval_starts_with_the_last_run():
    due = most_recent(
        cron_job("2026-01-01T11:00:10Z"), moment("2026-01-01T11:05:00Z"), parse("@every 2m"), within_deadline=True
    )
    assert due.time == moment("2026-01-01T11:04:10Z")
