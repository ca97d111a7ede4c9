"""Why containers could not be started: what a pod's status shows under `waiting`.

Upstream: pkg/kubelet/reason_cache.go; the reasons are those of pkg/kubelet/images/types.go and
pkg/kubelet/container/sync_result.go.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    reason: str
    message: str


class StartError(Exception):
    """A container was not started: `reason` is what `waiting` shows, `retry_after` how long to wait in seconds."""

    def __init__(self, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message, self.retry_after = reason, message, retry_after


class ReasonCache:
    """The last reason for each container of each pod, until it starts."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, str], Reason] = {}

    def get(self, pod_uid: str, container_name: str) -> Reason | None:
        return self._reasons.get((pod_uid, container_name))

    def set(self, pod_uid: str, container_name: str, error: StartError) -> None:
        self._reasons[pod_uid, container_name] = Reason(error.reason, error.message)

    def clear(self, pod_uid: str, container_name: str) -> None:
        self._reasons.pop((pod_uid, container_name), None)

    def forget(self, pod_uid: str) -> None:
        for key in [k for k in self._reasons if k[0] == pod_uid]:
            del self._reasons[key]
