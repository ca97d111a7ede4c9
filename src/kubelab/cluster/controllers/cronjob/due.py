"""Which time of a CronJob has come and was not served, and when to look again.

Upstream: mostRecentScheduleTime and nextScheduleTimeDuration in pkg/controller/cronjob/utils.go. However many times
were missed, only the last one is made up for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubelab.cluster import times
from kubelab.cluster.schedule import Schedule

Object = dict[str, Any]

MANY_MISSED = 100
DELTA = 0.1  # seconds after the time itself, so that it has come for sure when it is looked at


@dataclass(frozen=True)
class Due:
    """`time` is the latest one that has come since `since`, None for none; `missed` is how many have, about."""

    since: datetime
    time: datetime | None = None
    missed: int = 0


def most_recent(cron_job: Object, now: datetime, schedule: Schedule, *, within_deadline: bool) -> Due:
    """Counted from the last run, or from the CronJob's creation; `within_deadline`, not from before
    startingDeadlineSeconds ago. Raises ScheduleError for a schedule that never comes.
    """
    last = cron_job.get("status", {}).get("lastScheduleTime") or cron_job["metadata"]["creationTimestamp"]
    earliest = times.parse(last)
    deadline = cron_job["spec"].get("startingDeadlineSeconds")
    if within_deadline and deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline))
    first = schedule.next(earliest)
    second = schedule.next(first)
    if now < first:
        return Due(earliest)
    if now < second:
        return Due(earliest, first)
    interval = round((second - first).total_seconds())
    missed = int((now - first).total_seconds() // interval) + 1
    # Near the end, so that a year of missed minutes costs no half a million steps.
    moment, latest = first + timedelta(seconds=max(missed - 2, 0) * interval), None
    while (moment := schedule.next(moment)) <= now:
        latest = moment
    return Due(earliest, latest, missed)


def seconds_until_next(cron_job: Object, now: datetime, schedule: Schedule) -> float:
    """How long to sleep until the next time."""
    due = most_recent(cron_job, now, schedule, within_deadline=False)
    reference = due.time or (now if due.missed else due.since)
    return (schedule.next(reference) - now).total_seconds() + DELTA
