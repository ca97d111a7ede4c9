"""How soon a liveness probe finds a failure: what its four numbers promise, before anything is run.

Upstream: pkg/kubelet/prober/worker.go. One probe at a time, a tick every `periodSeconds`; a tick counts once
`initialDelaySeconds` have passed since the container started; a probe that takes longer than the period is followed by
the next at once. A verdict needs `failureThreshold` failures in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SLACK = 1.5  # seconds that start, API and watch may add to what is measured
FAILURES = {  # name, as a student says it -> whether a probe has to wait for its timeout to see it
    "deadlock": True,
    "exception": False,
}
FAULTS = {"deadlock": "deadlock", "exception": "error"}  # name -> the name in `kubelab.course.faults`


@dataclass(frozen=True)
class Budget:
    """The fields of a probe, all in seconds but for `threshold`, a number of probes."""

    delay: int = 0
    period: int = 2
    timeout: int = 1
    threshold: int = 3

    def probe(self) -> dict[str, Any]:
        """As a manifest has it."""
        return {
            "httpGet": {"path": "/healthz", "port": 8080},
            "initialDelaySeconds": self.delay,
            "periodSeconds": self.period,
            "timeoutSeconds": self.timeout,
            "failureThreshold": self.threshold,
        }

    def detection(self, failure: str, at: float) -> tuple[float, float]:
        """(soonest, latest) seconds after the start of the container at which a failure that happens `at` seconds
        after it is found: by the luck of where it falls between two probes."""
        cost = self.timeout if FAILURES[failure] else 0
        between = max(self.period, cost)
        soonest = max(at, self.delay) + (self.threshold - 1) * between + cost
        return soonest, soonest + self.period

    def after(self, failure: str) -> tuple[float, float]:
        """The same in seconds after the failure, of a container that has been running for long."""
        soonest, latest = self.detection(failure, self.delay)
        return soonest - self.delay, latest - self.delay
