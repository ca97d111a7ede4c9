"""How long a job waits before it replaces a failed pod: 10 s, doubled with each failure since the last success.

Upstream: pkg/controller/job/backoff_utils.go; at most ten minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kubelab.cluster import times
from kubelab.cluster.pods import condition

Object = dict[str, Any]

FIRST, LONGEST = 10.0, 600.0  # seconds


@dataclass(frozen=True)
class BackoffRecord:
    """Failures since the last success, and when the last of them was."""

    failures: int = 0
    last: datetime | None = None

    def after(self, succeeded: list[Object], failed: list[Object]) -> BackoffRecord:
        """The record once these pods, which were not counted before, have finished."""
        if not succeeded and not failed:
            return self
        times_of_failure = sorted(finished_at(pod) for pod in failed)
        if not succeeded:
            return BackoffRecord(self.failures + len(failed), times_of_failure[-1])
        last_success = max(finished_at(pod) for pod in succeeded)
        later = [moment for moment in times_of_failure if moment > last_success]
        return BackoffRecord(len(later), later[-1] if later else None)

    def remaining(self, now: datetime) -> float:
        """Seconds to wait before the next pod; 0 for none."""
        if not self.failures or self.last is None:
            return 0.0
        wait = min(FIRST * 2 ** min(self.failures - 1, 10), LONGEST)
        return max(0.0, wait - (now - self.last).total_seconds())


def finished_at(pod: Object) -> datetime:
    """When the pod ended: by its containers, its Ready condition, its deletion, or at worst its creation."""
    metadata, ready, status = pod["metadata"], condition(pod, "Ready"), pod.get("status", {})
    init = pod["spec"].get("initContainers") or ()
    sidecars = {container["name"] for container in init if container.get("restartPolicy") == "Always"}
    last = [container for container in status.get("initContainerStatuses") or () if container["name"] in sidecars]
    ends = [
        (container.get("state", {}).get("terminated") or {}).get("finishedAt")
        for container in (*(status.get("containerStatuses") or ()), *last)
    ]
    if ends and all(ends):
        return max(times.parse(end) for end in ends)
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return times.parse(ready["lastTransitionTime"])
    if metadata.get("deletionTimestamp"):
        grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
        return times.parse(metadata["deletionTimestamp"]) - grace
    return times.parse(metadata["creationTimestamp"])
