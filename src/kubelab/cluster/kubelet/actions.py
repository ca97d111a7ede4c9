"""What to do next for a pod, from what it asks for and what the runtime says: reconciliation, as a function.

Upstream: computePodActions and computeInitContainerActions in pkg/kubelet/kuberuntime/kuberuntime_manager.go and
kuberuntime_container.go. Nothing happens here; `pod_sync.py` carries the actions out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.runtime_status import CONTAINER_HASH, RuntimePod, is_running, should_restart, succeeded
from kubelab.runtime.api import ContainerState, ContainerStatus


class Verdict(StrEnum):
    """What the probes say of a running container."""

    FINE = ""
    LIVENESS_FAILED = "liveness"
    STARTUP_FAILED = "startup"


Judge = Callable[[ContainerStatus], Verdict]
HasStarted = Callable[[Container, ContainerStatus], bool]


@dataclass
class PodActions:
    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    ephemeral_to_start: list[Container] = field(default_factory=list)
    init_to_start: list[Container] = field(default_factory=list)
    to_start: list[Container] = field(default_factory=list)
    to_kill: list[tuple[ContainerStatus, Container, str]] = field(default_factory=list)  # with the event's message

    @property
    def done(self) -> bool:
        """Nothing will run in this pod again."""
        return self.kill_pod and not self.create_sandbox


def compute(pod: Pod, observed: RuntimePod, judge: Judge, has_started: HasStarted) -> PodActions:
    """`judge` gives the probes' verdict on a running container, `has_started` whether its startup probe has passed."""
    if observed.ready_sandbox is None:
        return _with_new_sandbox(pod, observed)
    actions = PodActions()
    actions.ephemeral_to_start = [c for c in podutil.ephemeral_containers(pod) if not observed.attempts(c["name"])]
    if _initialize(pod, observed, judge, has_started, actions):
        _own_containers(pod, observed, judge, actions)
    return actions


def _with_new_sandbox(pod: Pod, observed: RuntimePod) -> PodActions:
    old = observed.sandbox
    actions = PodActions(kill_pod=True, create_sandbox=True, attempt=old.config.attempt + 1 if old else 0)
    policy = podutil.restart_policy(pod)
    if policy == "Never" and actions.attempt and observed.containers:
        actions.create_sandbox = False
        return actions
    to_start = [
        c for c in podutil.containers(pod) if not (policy == "OnFailure" and succeeded(observed.latest(c["name"])))
    ]
    if not to_start:
        actions.create_sandbox = False
    elif podutil.init_containers(pod):
        actions.init_to_start = podutil.init_containers(pod)[:1]
    else:
        actions.to_start = to_start
    return actions


def _initialize(pod: Pod, observed: RuntimePod, judge: Judge, has_started: HasStarted, actions: PodActions) -> bool:
    """Plan the next init container; True when the pod's own containers may start."""
    initialized = observed.has_started_regular(pod)
    for container in podutil.init_containers(pod):
        status = observed.latest_active(container["name"])
        if podutil.is_sidecar(container):
            up = _sidecar(pod, container, status, judge, has_started, actions)
        else:
            up = initialized or _init_container(pod, container, status, actions)
        if not up and not initialized:
            return False
    return True


def _sidecar(
    pod: Pod,
    container: Container,
    status: ContainerStatus | None,
    judge: Judge,
    has_started: HasStarted,
    actions: PodActions,
) -> bool:
    if status is None or status.state != ContainerState.RUNNING:
        actions.init_to_start.append(container)
        return False
    message = _why_kill(container, status, judge)
    if message:
        actions.to_kill.append((status, container, f"{message}, will be restarted"))
        actions.init_to_start.append(container)
        return False
    return has_started(container, status)


def _init_container(pod: Pod, container: Container, status: ContainerStatus | None, actions: PodActions) -> bool:
    if is_running(status):
        return False
    if succeeded(status):
        return True
    if status is not None and status.state == ContainerState.EXITED and podutil.restart_policy(pod) == "Never":
        actions.kill_pod = True
    else:
        actions.init_to_start.append(container)
    return False


def _own_containers(pod: Pod, observed: RuntimePod, judge: Judge, actions: PodActions) -> None:
    kept = 0
    for container in podutil.containers(pod):
        status = observed.latest_active(container["name"])
        if not is_running(status):
            if should_restart(pod, container, status):
                actions.to_start.append(container)
            continue
        message = _why_kill(container, status, judge)
        if not message:
            kept += 1
            continue
        if "definition changed" in message or podutil.restart_policy(pod) != "Never":
            message += ", will be restarted"
            actions.to_start.append(container)
        actions.to_kill.append((status, container, message))
    if not kept and not actions.to_start and not actions.to_kill:
        actions.kill_pod = True


def _why_kill(container: Container, status: ContainerStatus, judge: Judge) -> str:
    """The beginning of the Killing event, or "" where the container may run on."""
    if status.config.annotations.get(CONTAINER_HASH) != podutil.container_hash(container):
        return f"Container {container['name']} definition changed"
    verdict = judge(status)
    return f"Container {container['name']} failed {verdict} probe" if verdict else ""
