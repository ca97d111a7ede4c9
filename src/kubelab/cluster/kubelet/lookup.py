"""Which container does a request mean: the state that `kubectl logs` and `kubectl exec` look at.

Upstream: validateContainerLogStatus in pkg/kubelet/kubelet_pods.go, whose messages these are.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.runtime_status import SCHEME

WAITING = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}


def container_id(status: dict[str, Any], pod_name: str, container: str, *, previous: bool) -> str:
    """The runtime's ID of the container that has logs to read. KeyError with upstream's message where none has."""
    everything = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    everything += status.get("ephemeralContainerStatuses", [])
    told = podutil.find_status(everything, container)
    if told is None:
        raise KeyError(f'container "{container}" in pod "{pod_name}" is not available')
    last = told.get("lastState", {}).get("terminated", {}).get("containerID", "")
    if previous:
        if not last:
            raise KeyError(f'previous terminated container "{container}" in pod "{pod_name}" not found')
        return last.removeprefix(SCHEME)
    return _current(told, last, pod_name).removeprefix(SCHEME)


def _current(told: dict[str, Any], last: str, pod_name: str) -> str:
    container, state = told["name"], told["state"]
    if "running" in state:
        return told["containerID"]
    if "terminated" in state:
        if found := state["terminated"].get("containerID") or last:
            return found
        raise KeyError(f'container "{container}" in pod "{pod_name}" is terminated')
    if last:
        return last
    reason = state.get("waiting", {}).get("reason", "")
    why = WAITING.get(reason, reason) or "no logs yet"
    raise KeyError(f'container "{container}" in pod "{pod_name}" is waiting to start: {why}')
