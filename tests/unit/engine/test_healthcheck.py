"""HEALTHCHECK's line, and Go's times in it."""

import pytest

from kubelab.engine.builder import healthcheck


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("5s", 5 * 10**9, "5s"),
        ("1h1m1.5s", 3661_500_000_000, "1h1m1.5s"),
        ("90s", 90 * 10**9, "1m30s"),
        ("1500us", 1_500_000, "1.5ms"),
        ("60m", 3600 * 10**9, "1h0m0s"),
        (".5s", 500_000_000, "500ms"),
        ("0", 0, "0s"),
        ("-1s", -(10**9), None),
        ("1µs", 1000, "1µs"),
    ],
)
def test_durations_are_read_and_written_as_go_does(text, value, shown):
    assert healthcheck.nanoseconds(text) == value
    assert shown is None or healthcheck.duration(value) == shown


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1s ", "--1s"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="time: invalid duration"):
        healthcheck.nanoseconds(text)


@pytest.mark.parametrize(
    ("retries", "shown"), [(0, r"'\x00'"), (4, r"'\x04'"), (10, r"'\n'"), (39, r"'\''"), (100, "'d'")]
)
def test_history_shows_retries_as_the_character_that_has_the_number(retries, shown):
    check = {"Test": ["CMD", 'a "b"'], "Interval": 10**9, "Retries": retries}
    assert healthcheck.shown(check) == f'&{{["CMD" "a \\"b\\""] "1s" "0s" "0s" {shown}}}'


def test_none_needs_no_flags_and_keeps_the_times_before():
    check = healthcheck.parse(["none"], {}, False)
    assert check == {"Test": ["NONE"]}
    assert healthcheck.over(check, {"Test": ["CMD", "x"], "Retries": 3}) == {"Test": ["NONE"], "Retries": 3}
