"""Which events tell of a liveness probe that fails on a healthy program, and which of one that has found a deadlock."""

from __future__ import annotations

import pytest

from kubelab.course.checks.liveness import harm

TIMEOUT = (
    'Liveness probe failed: Get "http://10.0.0.2:8080/healthz": context deadline exceeded (Client.Timeout exceeded)'
)
REFUSED = (
    'Liveness probe failed: Get "http://10.0.0.2:8080/healthz": dial tcp 10.0.0.2:8080: connect: connection refused'
)
WRONG_PATH = "Liveness probe failed: HTTP probe failed with statuscode: 404"
ERROR = "Liveness probe failed: HTTP probe failed with statuscode: 500"
STARTUP = "Startup probe failed: HTTP probe failed with statuscode: 404"
KILLED = "Container faulty failed liveness probe, will be restarted"
STOPPED = "Stopping container faulty"


@pytest.mark.parametrize(
    ("unhealthy", "killing", "expected"),
    [
        ([], [], False),
        ([TIMEOUT], [KILLED], False),
        ([REFUSED], [], False),  # once, while it starts: no harm is done
        ([REFUSED], [KILLED], True),
        ([REFUSED, TIMEOUT], [KILLED], False),
        ([WRONG_PATH], [], True),
        ([WRONG_PATH, TIMEOUT], [KILLED], True),
        ([ERROR], [], False),
        ([STARTUP], [], False),
        ([], [STOPPED], False),
    ],
)
def test_harm(unhealthy: list[str], killing: list[str], expected: bool):
    events = [{"reason": "Unhealthy", "message": text} for text in unhealthy]
    events += [{"reason": "Killing", "message": text} for text in killing]
    assert harm(events) is expected
