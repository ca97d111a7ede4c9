"""How long things take: upstream's timings, or shorter ones for a lesson, both through upstream's own settings.

Defaults: KubeletConfiguration v1beta1, KubeControllerManagerConfiguration and kube-apiserver's flags of v1.33.
"""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Profile:
    """Durations are Go's ("5s"); numbers are seconds. Each field is upstream's setting of that name."""

    crash_loop_back_off_max_container_restart_period: str
    node_status_update_frequency: str
    node_lease_duration_seconds: int
    node_monitor_period: str
    node_monitor_grace_period: str
    default_not_ready_toleration_seconds: int
    default_unreachable_toleration_seconds: int


# the field above -> where upstream's documentation has it
UPSTREAM_NAMES = {
    "crash_loop_back_off_max_container_restart_period": "kubelet crashLoopBackOff.maxContainerRestartPeriod",
    "node_status_update_frequency": "kubelet nodeStatusUpdateFrequency",
    "node_lease_duration_seconds": "kubelet nodeLeaseDurationSeconds",
    "node_monitor_period": "kube-controller-manager nodeMonitorPeriod",
    "node_monitor_grace_period": "kube-controller-manager nodeMonitorGracePeriod",
    "default_not_ready_toleration_seconds": "kube-apiserver --default-not-ready-toleration-seconds",
    "default_unreachable_toleration_seconds": "kube-apiserver --default-unreachable-toleration-seconds",
}

PROFILES = {
    "upstream": Profile("300s", "10s", 40, "5s", "50s", 300, 300),
    # A student waits seconds, not minutes, for a restart to be held back and for a lost node to be noticed.
    "class": Profile("5s", "2s", 4, "1s", "8s", 5, 5),
}
DEFAULT = "upstream"


def in_force(name: str) -> dict[str, str]:
    """Upstream's name of each setting -> its value in profile `name`, durations and seconds alike as "5s"."""
    profile = PROFILES[name]
    values = {UPSTREAM_NAMES[each.name]: getattr(profile, each.name) for each in fields(profile)}
    return {key: f"{value}s" if isinstance(value, int) else value for key, value in values.items()}
