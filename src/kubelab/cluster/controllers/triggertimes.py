"""When the change happened that endpoints follow: noted on them, so that the delay can be measured.

Upstream: staging/src/k8s.io/endpointslice/trigger_time_tracker.go. It is the earliest of what is new: a pod became
ready or not, the service was made again; of a service that was not known yet, its creation.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import condition

Object = dict[str, Any]

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class TriggerTimes:
    def __init__(self) -> None:
        self._seen: dict[Key, tuple[str, dict[str, str]]] = {}  # service: (its time, its pods' times)

    def newest_change(self, service: Object, pods: list[Object]) -> str:
        """RFC 3339, or "" where nothing has changed since the last call."""
        created = service["metadata"].get("creationTimestamp") or ""
        times = {pod["metadata"]["name"]: (condition(pod, "Ready") or {}).get("lastTransitionTime") for pod in pods}
        known = {name: moment for name, moment in times.items() if moment}
        is_new = key_of(service) not in self._seen
        before, pods_before = self._seen.get(key_of(service), ("", {}))
        new = [moment for name, moment in known.items() if moment > pods_before.get(name, "")]
        if created > before:
            new.append(created)
        self._seen[key_of(service)] = created, known
        return created if is_new else min(new, default="")

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)


def annotated(annotations: dict[str, str] | None, moment: str) -> dict[str, str]:
    """The annotations with this time, or without one."""
    others = {name: value for name, value in (annotations or {}).items() if name != ANNOTATION}
    return {**others, ANNOTATION: moment} if moment else others
