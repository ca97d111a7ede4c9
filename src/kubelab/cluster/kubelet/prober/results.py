"""The last verdict of each probe, by container ID, and word to whoever acts on it.

Upstream: pkg/kubelet/prober/results/results_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Result(StrEnum):
    SUCCESS = "Success"
    FAILURE = "Failure"
    UNKNOWN = "Unknown"


OnChange = Callable[[str, str, Result], None]  # pod UID, container ID, result


class Results:
    """Verdicts of one kind of probe. `on_change` is called when a verdict is new or another than before."""

    def __init__(self, on_change: OnChange) -> None:
        self._results: dict[str, Result] = {}
        self._on_change = on_change

    def get(self, container_id: str) -> Result | None:
        return self._results.get(container_id)

    def set(self, container_id: str, result: Result, pod_uid: str) -> None:
        if self._results.get(container_id) != result:
            self._results[container_id] = result
            self._on_change(pod_uid, container_id, result)

    def remove(self, container_id: str) -> None:
        self._results.pop(container_id, None)
