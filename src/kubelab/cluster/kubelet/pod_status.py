"""The status of a pod, as the API shows it, from what the runtime says of it.

Upstream: generateAPIPodStatus in pkg/kubelet/kubelet_pods.go. Ready and started come from the probes, the rest is pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelab.cluster.kubelet import conditions, podutil
from kubelab.cluster.kubelet.container_status import container_statuses
from kubelab.cluster.kubelet.phase import get_phase
from kubelab.cluster.kubelet.podutil import TERMINAL_PHASES, Pod
from kubelab.cluster.kubelet.reasons import ReasonCache
from kubelab.cluster.kubelet.runtime_status import RuntimePod

Status = dict[str, Any]
MESSAGES_LIMIT = 12 * 1024  # bytes


def generate(
    pod: Pod,
    observed: RuntimePod,
    old: Status,
    *,
    host_ip: str,
    reasons: ReasonCache,
    probes: Callable[[Pod, Status], None],
    terminal: bool = False,
) -> Status:
    """The new status. `old` is the one told last; `probes` fills in `ready` and `started` of each container;
    `terminal`: none of the pod's containers runs or will run again."""
    status: Status = {}
    _add_addresses(status, observed, old, host_ip)
    status["qosClass"] = pod.get("status", {}).get("qosClass", "BestEffort")
    status["containerStatuses"] = container_statuses(
        pod, observed, old.get("containerStatuses", []), podutil.containers(pod), reasons
    )
    if podutil.init_containers(pod):
        status["initContainerStatuses"] = container_statuses(
            pod, observed, old.get("initContainerStatuses", []), podutil.init_containers(pod), reasons
        )
    if podutil.ephemeral_containers(pod):
        status["ephemeralContainerStatuses"] = container_statuses(
            pod,
            observed,
            old.get("ephemeralContainerStatuses", []),
            podutil.ephemeral_containers(pod),
            reasons,
        )
    _shorten_messages(pod, status)
    everything = status.get("initContainerStatuses", []) + status["containerStatuses"]
    phase = get_phase(pod, everything, terminal=terminal, initialized=observed.has_started_regular(pod))
    _set_phase(pod, status, old, phase)
    probes(pod, status)
    others = [c for c in pod.get("status", {}).get("conditions", []) if c["type"] not in conditions.OWNED]
    status["conditions"] = others
    status["conditions"] = others + conditions.generate(pod, status, observed.ready_sandbox is not None)
    return status


def rejected(pod: Pod, reason: str, message: str) -> Status:
    """The status of a pod that was not let in (rejectPod): it never had containers, nor conditions of the kubelet's."""
    known = pod.get("status", {})
    return {
        "qosClass": known.get("qosClass", "BestEffort"),
        "phase": "Failed",
        "reason": reason,
        "message": message,
        "conditions": [c for c in known.get("conditions", []) if c["type"] not in conditions.OWNED],
    }


def _shorten_messages(pod: Pod, status: Status) -> None:
    """The containers of a pod share 12 KiB for their termination messages (normalizeStatus in status_manager.go)."""
    specs = (*podutil.all_containers(pod), *podutil.ephemeral_containers(pod))
    limit = MESSAGES_LIMIT // max(1, len(specs))
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(field, []):
            for state in (container["state"], container.get("lastState") or {}):
                ended = state.get("terminated") or {}
                if len(ended.get("message", "").encode()) > limit:
                    ended["message"] = ended["message"].encode()[:limit].decode(errors="ignore")


def _add_addresses(status: Status, observed: RuntimePod, old: Status, host_ip: str) -> None:
    """A pod keeps its IP in its status when its sandbox has been stopped."""
    ip = observed.sandbox.ip if observed.sandbox else ""
    ip = ip or old.get("podIP", "")
    if ip:
        status.update(podIP=ip, podIPs=[{"ip": ip}])
    status.update(hostIP=host_ip, hostIPs=[{"ip": host_ip}])


def _set_phase(pod: Pod, status: Status, old: Status, phase: str) -> None:
    """A pod never leaves Failed or Succeeded; reason and message stay with their phase."""
    told = (old.get("phase"), pod.get("status", {}).get("phase"))
    final = next((p for p in told if p in TERMINAL_PHASES), None)
    status["phase"] = final or phase
    if status["phase"] in told:
        for field in ("reason", "message"):
            value = old.get(field) or pod.get("status", {}).get(field)
            if value:
                status[field] = value
