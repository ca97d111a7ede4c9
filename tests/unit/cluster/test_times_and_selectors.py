"""Times and durations as the API writes them; selectors that are objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kubelab.cluster import selectors, times
from unit.cluster.builders import make_node


def test_times_are_written_in_utc():
    moment = datetime(2026, 1, 1, 1, 0, 0, 5, tzinfo=timezone(timedelta(hours=1)))
    assert times.timestamp(moment) == "2026-01-01T00:00:00Z"
    assert times.micro_timestamp(moment) == "2026-01-01T00:00:00.000005Z"
    assert times.parse("2026-01-01T00:00:00Z") == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("5s", 5), ("1h2m3s", 3723), ("1.5s", 1.5), ("500ms", 0.5)])
def test_durations(text: str, seconds: float):
    assert times.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5sec"])
def test_what_is_no_duration_is_refused(text: str):
    with pytest.raises(ValueError, match="invalid duration"):
        times.duration(text)


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, False),
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, None, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {}, True),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]},
            {"a": "1"},
            False,
        ),
    ],
)
def test_label_selectors(selector: dict | None, labels: dict | None, expected: bool):
    assert selectors.label_selector_matches(selector, labels) is expected


def test_node_selector_terms_are_alternatives_and_an_empty_one_selects_nothing():
    node = make_node("n", labels={"disk": "ssd"})
    ssd = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}
    assert selectors.node_selector_matches([by_name, ssd], node)
    assert not selectors.node_selector_matches([by_name], node)
    assert not selectors.node_selector_matches([{}], node)
