"""`status.containerStatuses`: what the runtime says of a pod's containers, in the API's words.

Upstream: convertToAPIContainerStatuses in pkg/kubelet/kubelet_pods.go. The newest attempt gives `state`, the one before
it `lastState`; a container that could not be started is `waiting` with the reason why.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import ReasonCache
from kubelab.cluster.kubelet.runtime_status import IMAGE_ID, IMAGE_NAME, SCHEME, RuntimePod, should_restart, succeeded
from kubelab.runtime.api import ContainerState, ContainerStatus

Status = dict[str, Any]

LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was deleted.  The container used to be Running",
    "startedAt": None,
    "finishedAt": None,
}


def seconds(timestamp: str) -> str | None:
    """The runtime's nanosecond time as metav1.Time writes it; None for a time that never came."""
    return timestamp[:19] + "Z" if timestamp else None


def container_statuses(
    pod: Pod, observed: RuntimePod, previous: list[Status], specs: list[Container], reasons: ReasonCache
) -> list[Status]:
    """One status for each container of `specs`, in their order; `previous` are the statuses told last."""
    made = []
    for spec in specs:
        old = podutil.find_status(previous, spec["name"])
        status = _status(pod, spec, observed.attempts(spec["name"]), old)
        _add_spec(status, spec)
        _apply_waiting(pod, spec, observed, status, reasons)
        made.append(status)
    return made


def _status(pod: Pod, spec: Container, attempts: list[ContainerStatus], old: Status | None) -> Status:
    if not attempts:
        return _without_container(pod, spec, old)
    status = _convert(attempts[0])
    if len(attempts) > 1:
        status["lastState"] = _state(attempts[1])
    elif old and old.get("containerID") == status["containerID"]:
        status["lastState"] = old.get("lastState", {})
    return status


def _without_container(pod: Pod, spec: Container, old: Status | None) -> Status:
    """Not made yet, or gone from the runtime: then what was told before still counts."""
    initializing = podutil.init_containers(pod) and spec not in podutil.ephemeral_containers(pod)
    reason = "PodInitializing" if initializing else "ContainerCreating"
    status: Status = {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason}},
        "lastState": {},
    }
    if old is None:
        return status
    if "terminated" in old.get("state", {}):
        return dict(old)
    status.update(restartCount=old["restartCount"], lastState=old.get("lastState", {}))
    if "running" in old.get("state", {}):
        lost = {**LOST, "containerID": old.get("containerID", "")}
        status["lastState"] = {"terminated": {k: v for k, v in lost.items() if v is not None}}
        if not podutil.is_deleting(pod):
            status["restartCount"] += 1
    return status


def _convert(container: ContainerStatus) -> Status:
    return {
        "name": container.config.name,
        "image": container.config.annotations.get(IMAGE_NAME, container.config.image),
        "imageID": container.config.annotations.get(IMAGE_ID, container.config.image),
        "containerID": SCHEME + container.id,
        "restartCount": container.config.attempt,
        "ready": False,
        "started": False,
        "state": _state(container),
        "lastState": {},
    }


def _state(container: ContainerStatus) -> Status:
    if container.state == ContainerState.RUNNING:
        return {"running": {"startedAt": seconds(container.started_at)}}
    if container.state != ContainerState.EXITED:
        return {"waiting": {}}
    ended: Status = {
        "exitCode": container.exit_code,
        "reason": container.reason or ("Error" if container.exit_code else "Completed"),
        "startedAt": seconds(container.started_at),
        "finishedAt": seconds(container.finished_at),
        "containerID": SCHEME + container.id,
    }
    if container.message:
        ended["message"] = container.message
    return {"terminated": {k: v for k, v in ended.items() if v is not None}}


def _add_spec(status: Status, spec: Container) -> None:
    """What only the pod knows of its container: the resources given to it, its volumes."""
    resources = spec.get("resources") or {}
    if status.get("containerID"):
        status["resources"] = resources
        if resources.get("requests"):
            status["allocatedResources"] = resources["requests"]
    mounts = []
    for mount in spec.get("volumeMounts") or []:
        entry = {"name": mount["name"], "mountPath": mount["mountPath"]}
        if mount.get("readOnly"):
            recursive = mount.get("recursiveReadOnly", "Disabled")  # no mount is within a volume, so it always holds
            entry |= {"readOnly": True, "recursiveReadOnly": "Enabled" if recursive == "IfPossible" else recursive}
        mounts.append(entry)
    if mounts:
        status["volumeMounts"] = mounts


def _apply_waiting(pod: Pod, spec: Container, observed: RuntimePod, status: Status, reasons: ReasonCache) -> None:
    """A container that should run and could not be started waits, and says why."""
    latest = observed.latest(spec["name"])
    is_init = spec in podutil.init_containers(pod) and not podutil.is_sidecar(spec)
    if is_init and succeeded(latest):
        return
    reason = reasons.get(podutil.uid(pod), spec["name"])
    if reason is None or not should_restart(pod, spec, latest):
        return
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    status["state"] = {"waiting": {"reason": reason.reason, "message": reason.message}}
