"""Does a node still live? From its Lease and its status, as seen from here: by our clock, not by the node's.

Upstream: tryUpdateNodeHealth in pkg/controller/nodelifecycle/node_lifecycle_controller.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubelab.cluster.pods import condition
from kubelab.cluster.times import timestamp

Object = dict[str, Any]

# What a silent kubelet can no longer vouch for.
REPORTED_BY_KUBELET = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass
class Health:
    """The last sign of life: `seen` is when we saw it (monotonic seconds), the rest is what it was."""

    seen: float
    heartbeat: str | None = None
    renewed: str | None = None


class NodeHealth:
    """Remembers the last sign of life of every node."""

    def __init__(self) -> None:
        self._health: dict[str, Health] = {}

    def observe(self, node: Object, lease: Object | None, now: float) -> None:
        """Note a sign of life where the Ready condition's heartbeat or the Lease moved on."""
        name = node["metadata"]["name"]
        ready = condition(node, "Ready")
        heartbeat = ready.get("lastHeartbeatTime") if ready else None
        renewed = lease["spec"].get("renewTime") if lease else None
        health = self._health.get(name)
        if health is None or (heartbeat, renewed) != (health.heartbeat, health.renewed):
            self._health[name] = Health(now, heartbeat, renewed)

    def silent_for(self, node: Object, now: float) -> float:
        """Seconds since the last sign of life."""
        return now - self._health[node["metadata"]["name"]].seen

    def restart(self, now: float) -> None:
        """Count every node's silence from now on."""
        for health in self._health.values():
            health.seen = now

    def forget(self, name: str) -> None:
        self._health.pop(name, None)


def unknown_conditions(node: Object, now: datetime) -> list[Object]:
    """The node's conditions once its kubelet has been silent for too long: nobody knows."""
    conditions = [dict(c) for c in node.get("status", {}).get("conditions") or ()]
    by_type = {c["type"]: c for c in conditions}
    for kind in REPORTED_BY_KUBELET:
        known = by_type.get(kind)
        if known is None:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
                    "lastTransitionTime": timestamp(now),
                }
            )
        elif known["status"] != "Unknown":
            known.update(
                status="Unknown",
                reason="NodeStatusUnknown",
                message="Kubelet stopped posting node status.",
                lastTransitionTime=timestamp(now),
            )
    return conditions
