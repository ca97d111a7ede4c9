"""Which sysctls a pod may set: those that its own namespaces hold and that harm no other pod.

Upstream: pkg/kubelet/sysctl/{safe_sysctls,allowlist}.go.
"""

from __future__ import annotations

from kubelab.cluster.kubelet.podutil import Pod

SAFE = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)


def asked(pod: Pod) -> dict[str, str]:
    """Name, with dots, to value."""
    security = pod["spec"].get("securityContext") or {}
    return {each["name"].replace("/", "."): each["value"] for each in security.get("sysctls") or []}


def forbidden(pod: Pod) -> str | None:
    """Why this node refuses the pod, None where it does not."""
    name = next((name for name in asked(pod) if name not in SAFE), None)
    return f'forbidden sysctl: "{name}" not allowlisted' if name else None
