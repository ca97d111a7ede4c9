"""Pods that this node cannot run: they are refused, not run as something else than they ask for.

Upstream: canAdmitPod and rejectPod in pkg/kubelet/kubelet.go.
"""

from __future__ import annotations

from kubelab.cluster.kubelet import sysctls
from kubelab.cluster.kubelet.podutil import Pod

UNSUPPORTED = ("hostNetwork", "hostPID", "hostIPC")


def reject(pod: Pod) -> tuple[str, str] | None:
    """Reason and message for the pod's status, or None where it may run."""
    asked = [field for field in UNSUPPORTED if pod["spec"].get(field)]
    if asked:
        return "UnsupportedPodSpec", f"Pod was rejected: spec.{asked[0]} is not supported by this node"
    if problem := sysctls.forbidden(pod):
        return "SysctlForbidden", f"Pod was rejected: {problem}"
    return None
