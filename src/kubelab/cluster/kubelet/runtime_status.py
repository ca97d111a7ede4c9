"""A pod as the runtime sees it: its sandboxes and the containers in them, newest first.

Upstream: kubecontainer.PodStatus (pkg/kubelet/container/runtime.go) and pkg/kubelet/kuberuntime/labels.go, which keeps
on each sandbox and container what the kubelet must know again after a restart of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.runtime.api import ContainerState, ContainerStatus, PodSandboxStatus, SandboxState

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_HASH = "io.kubernetes.container.hash"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
IMAGE_NAME = "kubelab.dev/image"  # the image as the pod names it; CRI carries it in the container's ImageSpec

IMAGE_ID = "kubelab.dev/image-id"  # what the status shows as imageID

SCHEME = "kubelab://"


def pod_labels(pod: Pod) -> dict[str, str]:
    """The labels by which a sandbox or container is known as this pod's."""
    return {POD_NAME: podutil.name(pod), POD_NAMESPACE: podutil.namespace(pod), POD_UID: podutil.uid(pod)}


def parse_time(text: str) -> datetime:
    """An RFC 3339 time of the runtime or the API, aware; fractions beyond microseconds are cut."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True)
class RuntimePod:
    """`sandboxes` and `containers` newest first; `active` are the containers of the newest sandbox."""

    sandboxes: list[PodSandboxStatus] = field(default_factory=list)
    containers: list[ContainerStatus] = field(default_factory=list)

    @property
    def sandbox(self) -> PodSandboxStatus | None:
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ready_sandbox(self) -> PodSandboxStatus | None:
        sandbox = self.sandbox
        return sandbox if sandbox and sandbox.state == SandboxState.READY and sandbox.ip else None

    @property
    def active(self) -> list[ContainerStatus]:
        return [c for c in self.containers if self.sandbox and c.sandbox_id == self.sandbox.id]

    @property
    def running(self) -> list[ContainerStatus]:
        return [c for c in self.containers if c.state == ContainerState.RUNNING]

    def attempts(self, name: str) -> list[ContainerStatus]:
        """Every attempt at one container that the runtime still knows, newest first."""
        return [c for c in self.containers if c.config.name == name]

    def latest(self, name: str) -> ContainerStatus | None:
        return next((c for c in self.containers if c.config.name == name), None)

    def latest_active(self, name: str) -> ContainerStatus | None:
        return next((c for c in self.active if c.config.name == name), None)

    def has_started_regular(self, pod: Pod) -> bool:
        """Whether a container of the pod itself was ever made in this sandbox: then its init containers are done."""
        names = {c["name"] for c in podutil.containers(pod)}
        return any(c.config.name in names for c in self.active)


def is_running(status: ContainerStatus | None) -> bool:
    return status is not None and status.state == ContainerState.RUNNING


def succeeded(status: ContainerStatus | None) -> bool:
    return status is not None and status.state == ContainerState.EXITED and status.exit_code == 0


def should_restart(pod: Pod, container: Container, status: ContainerStatus | None) -> bool:
    """Whether a container that is in this state is to be started (kubecontainer.ShouldContainerBeRestarted)."""
    if podutil.is_deleting(pod):
        return False
    if status is None:
        return True
    if status.state == ContainerState.RUNNING:
        return False
    if status.state != ContainerState.EXITED:
        return True
    policy = "Always" if podutil.is_sidecar(container) else podutil.restart_policy(pod)
    if policy == "OnFailure":
        return status.exit_code != 0
    return policy == "Always"
