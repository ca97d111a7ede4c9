"""What to do about one node: start a pod, keep one, delete those that failed, are too many or do not belong.

Upstream: podsShouldBeOnNode in pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.controllers.daemonset.placement import HASH, fits
from kubelab.cluster.pods import is_available, is_ready, is_terminating, node_name, phase

Object = dict[str, Any]

FIRST_WAIT, LONGEST_WAIT = 1.0, 15 * 60.0  # seconds before a pod that failed again is replaced
FATES = {"Failed": ("Warning", "FailedDaemonPod", "kill"), "Succeeded": ("Normal", "SucceededDaemonPod", "delete")}


@dataclass
class NodePlan:
    """What is to be done; the sum of two is both. `events` are (type, reason, message)."""

    create: list[str] = field(default_factory=list)  # names of nodes
    delete: list[Object] = field(default_factory=list)  # pods
    events: list[tuple[str, str, str]] = field(default_factory=list)
    failed: int = 0
    retry_after: float = 0.0  # seconds; 0 for no need

    def __add__(self, other: NodePlan) -> NodePlan:
        waits = [wait for wait in (self.retry_after, other.retry_after) if wait]
        return NodePlan(
            self.create + other.create,
            self.delete + other.delete,
            self.events + other.events,
            self.failed + other.failed,
            min(waits, default=0.0),
        )


class FailedPodsBackoff:
    """How long a node waits for its next pod after one failed: 1 s, doubled each time up to 15 minutes.

    Upstream: client-go's flowcontrol.Backoff. The time starts again with a new generation, or after half an hour.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waits: dict[tuple[str, int, str], tuple[float, float]] = {}  # key: (seconds, when it was set)

    def remaining(self, daemon_set: Object, node: str) -> float:
        """Seconds to wait; 0 starts the next wait."""
        key, now = self._key(daemon_set, node), self._clock.monotonic()
        wait, since = self._waits.get(key, (0.0, now))
        if now - since < wait:
            return wait - (now - since)
        expired = not wait or now - since > 2 * LONGEST_WAIT
        self._waits[key] = (FIRST_WAIT if expired else min(2 * wait, LONGEST_WAIT), now)
        return 0.0

    def forget(self, daemon_set: Object) -> None:
        uid = daemon_set["metadata"]["uid"]
        self._waits = {key: wait for key, wait in self._waits.items() if key[0] != uid}

    @staticmethod
    def _key(daemon_set: Object, node: str) -> tuple[str, int, str]:
        return daemon_set["metadata"]["uid"], daemon_set.get("status", {}).get("observedGeneration", 0), node


def plan_node(
    daemon_set: Object,
    node: Object,
    pods: list[Object] | None,
    revision_hash: str,
    now: datetime,
    backoff: FailedPodsBackoff,
) -> NodePlan:
    """`pods` are the DaemonSet's on (or meant for) the node; None where there are none."""
    wanted, may_stay = fits(daemon_set, node)
    name = node["metadata"]["name"]
    if not pods:
        return NodePlan(create=[name]) if wanted else NodePlan()
    live = [pod for pod in pods if not is_terminating(pod)]
    if not may_stay:
        return NodePlan(delete=live)
    plan = _finished(daemon_set, name, live, backoff)
    running = sorted((pod for pod in live if phase(pod) not in FATES), key=oldest_first)
    plan.delete += _excess(daemon_set, running, revision_hash, now)
    return plan


def _finished(daemon_set: Object, node: str, live: list[Object], backoff: FailedPodsBackoff) -> NodePlan:
    """A daemon does not end: pods that did are deleted, and the next round makes new ones."""
    plan = NodePlan()
    for pod in live:
        if phase(pod) not in FATES:
            continue
        if phase(pod) == "Failed":
            plan.failed += 1
            wait = backoff.remaining(daemon_set, node)
            if wait:
                plan.retry_after = wait
                continue
        type, reason, verb = FATES[phase(pod)]
        where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        message = f"Found {phase(pod).lower()} daemon pod {where} on node {node}, will try to {verb} it"
        plan.events.append((type, reason, message))
        plan.delete.append(pod)
    return plan


def _excess(daemon_set: Object, running: list[Object], revision_hash: str, now: datetime) -> list[Object]:
    """All but the oldest; while an update surges, one new and one old pod are not too many."""
    rolling = daemon_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    if rolling.get("maxSurge") in (None, 0, "0%"):
        return running[1:]
    if len(running) <= 1:
        return []
    new = [pod for pod in running if (pod["metadata"].get("labels") or {}).get(HASH) == revision_hash]
    old = [pod for pod in running if pod not in new]
    min_ready = daemon_set["spec"].get("minReadySeconds", 0)
    replaced = new and old and (not is_ready(old[0]) or is_available(new[0], min_ready, now))
    return new[1:] + (old if replaced else old[1:])


def oldest_first(pod: Object) -> tuple[bool, str, str]:
    """Pods that have a node before those that have none."""
    return not node_name(pod), pod["metadata"].get("creationTimestamp") or "", pod["metadata"]["name"]
