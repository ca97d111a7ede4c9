"""The kubelet's log options, and what they make of a log file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubelab.clock import VirtualClock
from kubelab.cluster.kubelet.streaming.logs import BadLogOptions, LogOptions, read_log


def test_options_are_read() -> None:
    clock = VirtualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))
    query = {"follow": "true", "tailLines": "5", "sinceSeconds": "60", "limitBytes": "9", "stream": "Stderr"}
    options = LogOptions.from_query(query, clock)
    assert options == LogOptions(
        follow=True, tail=5, since=datetime(2026, 1, 1, 11, 59, tzinfo=UTC), limit=9, stream="stderr"
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"limitBytes": "many"}, "limitBytes: Invalid value"),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, "at most one of"),
        ({"sinceTime": "yesterday"}, "must be RFC 3339"),
        ({"stream": "Both"}, "Unsupported value"),
    ],
)
def test_bad_options_are_named(query: dict[str, str], words: str) -> None:
    with pytest.raises(BadLogOptions, match=words):
        LogOptions.from_query(query, VirtualClock())


LOG = b"""2026-01-01T00:00:00.000000001Z stdout F one
2026-01-01T00:00:01.000000000Z stderr F error
2026-01-01T00:00:02.000000000Z stdout P tw
2026-01-01T00:00:03.000000000Z stdout F o
"""


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), b"one\nerror\ntwo\n"),
        (LogOptions(stream="stdout"), b"one\ntwo\n"),
        (LogOptions(limit=5), b"one\ne"),
        (LogOptions(since=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)), b"error\ntwo\n"),
        (LogOptions(tail=1), b"two\n"),
        (LogOptions(timestamps=True, tail=1), b"2026-01-01T00:00:02.000000000Z two\n"),
    ],
)
async def test_a_log_is_read_as_asked(tmp_path: Path, options: LogOptions, text: bytes) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(LOG)
    assert b"".join([data async for data in read_log(log, options, lambda: True)]) == text
