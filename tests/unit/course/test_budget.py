"""What a probe's four numbers promise."""

from __future__ import annotations

import pytest

from kubelab.course.budget import Budget


@pytest.mark.parametrize(
    ("budget", "failure", "expected"),
    [
        (Budget(period=10, timeout=1, threshold=3), "exception", (20, 30)),  # upstream's defaults: two periods and luck
        (Budget(period=10, timeout=1, threshold=3), "deadlock", (21, 31)),  # and the last probe waits for its timeout
        (Budget(period=1, timeout=1, threshold=1), "exception", (0, 1)),
        (Budget(period=1, timeout=5, threshold=3), "deadlock", (15, 16)),  # probes that wait longer than the period
    ],
)
def test_after_a_failure_in_a_container_that_runs_for_long(budget, failure, expected):
    assert budget.after(failure) == expected


def test_nothing_is_found_before_the_initial_delay():
    budget = Budget(delay=20, period=2, timeout=1, threshold=3)
    assert budget.detection("exception", at=1) == (24, 26)
    assert budget.detection("exception", at=30) == (34, 36)


def test_the_probe_is_what_a_manifest_says():
    assert Budget(5, 2, 1, 4).probe() == {
        "httpGet": {"path": "/healthz", "port": 8080},
        "initialDelaySeconds": 5,
        "periodSeconds": 2,
        "timeoutSeconds": 1,
        "failureThreshold": 4,
    }
