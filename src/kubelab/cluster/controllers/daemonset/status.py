"""The status of a DaemonSet. Upstream: updateDaemonSetStatus in pkg/controller/daemon/daemon_controller.go."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.controllers.daemonset.managing import oldest_first
from kubelab.cluster.controllers.daemonset.placement import fits, is_updated
from kubelab.cluster.pods import is_available, is_ready

Object = dict[str, Any]

ALWAYS_SHOWN = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")


def calculate_status(
    daemon_set: Object,
    nodes: list[Object],
    pods: dict[str, list[Object]],
    revision_hash: str,
    now: datetime,
    seen: bool,
) -> Object:
    """Count nodes by the state of their oldest pod; `pods` by node. With `seen` the generation counts as observed.

    Counts of zero are left out but for the four that the API's JSON always has.
    """
    counts = dict.fromkeys((*ALWAYS_SHOWN, "updatedNumberScheduled", "numberAvailable", "numberUnavailable"), 0)
    min_ready = daemon_set["spec"].get("minReadySeconds", 0)
    for node in nodes:
        on_node = sorted(pods.get(node["metadata"]["name"], ()), key=oldest_first)
        if not fits(daemon_set, node)[0]:
            counts["numberMisscheduled"] += bool(on_node)
            continue
        counts["desiredNumberScheduled"] += 1
        if on_node:
            counts["currentNumberScheduled"] += 1
            counts["numberReady"] += is_ready(on_node[0])
            counts["numberAvailable"] += is_available(on_node[0], min_ready, now)
            counts["updatedNumberScheduled"] += is_updated(on_node[0], daemon_set, revision_hash)
    counts["numberUnavailable"] = counts["desiredNumberScheduled"] - counts["numberAvailable"]
    shown = {name: count for name, count in counts.items() if count or name in ALWAYS_SHOWN}
    if seen:
        shown["observedGeneration"] = daemon_set["metadata"].get("generation", 0)
    kept = {name: value for name, value in daemon_set.get("status", {}).items() if name not in counts}
    return {**kept, **shown}
