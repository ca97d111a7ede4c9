"""The controllers' settings: the part of upstream's KubeControllerManagerConfiguration that is honoured here.

Upstream: staging/src/k8s.io/kube-controller-manager/config/v1alpha1; defaults are v1.33's (the grace period is 50 s
since 1.32).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubelab.cluster import times

KIND = "KubeControllerManagerConfiguration"
HONOURED = {
    "nodeMonitorPeriod": "node_monitor_period",
    "nodeMonitorGracePeriod": "node_monitor_grace_period",
    "nodeStartupGracePeriod": "node_startup_grace_period",
}


@dataclass(frozen=True)
class ControllerConfig:
    """Times in seconds."""

    node_monitor_period: float = 5.0
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    terminated_pod_gc_threshold: int = 12500

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> ControllerConfig:
        """Read `config/kube-controller-manager.json`. Raises ValueError for a setting that would not be honoured."""
        known = {"apiVersion", "kind", "generic", "nodeLifecycleController", "podGCController"}
        _refuse(config, known, KIND)
        node = config.get("nodeLifecycleController") or {}
        collector = config.get("podGCController") or {}
        _refuse(node, set(HONOURED), "nodeLifecycleController")
        _refuse(collector, {"terminatedPodGCThreshold"}, "podGCController")
        values: dict[str, Any] = {HONOURED[key]: times.duration(value) for key, value in node.items()}
        if "terminatedPodGCThreshold" in collector:
            values["terminated_pod_gc_threshold"] = int(collector["terminatedPodGCThreshold"])
        return cls(**values)


def _refuse(given: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{where}: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
