"""Schedules: upstream's syntax and words (robfig/cron's parser_test.go), and times across the change of the hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.schedule import ScheduleError, parse, zone_of

NOW = datetime(2026, 3, 28, 12, 0, 30, tzinfo=UTC)  # a Saturday; the next day summer time begins in Berlin


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("*/5 * * * *", "", "2026-03-28T12:05:00"),
        ("5/20 * * * *", "", "2026-03-28T12:05:00"),  # from the 5th minute on
        ("0 9 * * mon-fri", "", "2026-03-30T09:00:00"),
        ("0 0 1,15 * sun", "", "2026-03-29T00:00:00"),  # both restricted: either
        ("0 0 ? 4 ?", "", "2026-04-01T00:00:00"),
        ("@weekly", "", "2026-03-29T00:00:00"),
        ("@every 1m30s", "", "2026-03-28T12:02:00"),
        ("0 9 * * *", "America/New_York", "2026-03-28T13:00:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-30T00:30:00"),  # 2:30 is not there on the 29th
        ("0 0 29 2 *", "", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time(text: str, zone: str, expected: str):
    assert parse(text, zone).next(NOW) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" ", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("0 * * * * *", "expected exactly 5 fields, found 6: [0 * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("L * * * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
    ],
)
def test_mistakes_are_named(text: str, words: str):
    with pytest.raises(ScheduleError) as error:
        parse(text)
    assert str(error.value) == words


def test_a_time_that_never_comes():
    with pytest.raises(ScheduleError, match="less than 1 second"):
        parse("0 0 31 2 *").next(NOW)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", ""])
def test_a_zone_that_is_not_there(name: str):
    with pytest.raises(ScheduleError, match="unknown time zone"):
        zone_of(name)


minutes = st.lists(st.integers(0, 59), min_size=1, max_size=4, unique=True)
hours = st.lists(st.integers(0, 23), min_size=1, max_size=4, unique=True)


@given(minutes, hours, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_the_next_time_is_the_first_that_matches(minute: list[int], hour: list[int], after: datetime):
    start = after.replace(tzinfo=UTC)
    found = parse(f"{','.join(map(str, minute))} {','.join(map(str, hour))} * * *").next(start)
    moment = start.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while moment.minute not in minute or moment.hour not in hour:
        moment += timedelta(minutes=1)
    assert found == moment
