"""What the runtime is asked to make for a container of a pod.

Upstream: generateContainerConfig in pkg/kubelet/kuberuntime/kuberuntime_container.go, security_context.go, labels.go.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet import runtime_status as labels
from kubelab.cluster.kubelet.expansion import expand
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.security import security, user
from kubelab.images.store import Image
from kubelab.runtime.api import ContainerConfig, ContainerStatus, Mount, Resources

DEFAULT_TERMINATION_PATH = "/dev/termination-log"
_PERIOD = 100_000  # microseconds: QuotaPeriod


def log_path(folder: Path, pod: Pod, container_name: str, attempt: int) -> Path:
    return log_folder(folder, pod) / container_name / f"{attempt}.log"


def log_folder(folder: Path, pod: Pod) -> Path:
    return folder / f"{podutil.namespace(pod)}_{podutil.name(pod)}_{podutil.uid(pod)}"


def next_attempt(folder: Path, pod: Pod, container_name: str, latest: ContainerStatus | None) -> int:
    """The restart count of the container to be made; the logs count where the runtime has forgotten."""
    if latest is not None:
        return latest.config.attempt + 1
    logs = (log_folder(folder, pod) / container_name).glob("*.log")
    return max((int(log.stem) + 1 for log in logs if log.stem.isdigit()), default=0)


def container_config(
    pod: Pod,
    container: Container,
    image: Image,
    env: dict[str, str],
    mounts: list[Mount],
    attempt: int,
    log: Path,
    termination_log: Path,
    image_ref: str = "",
) -> ContainerConfig:
    """`env` holds the pod's part, the image's goes below it. `image_ref` is what the status calls the image: its name
    by digest where it came from a registry, else its ID."""
    defaults = image.run_config
    whole = {**_image_env(defaults), **env}
    log.parent.mkdir(parents=True, exist_ok=True)
    return ContainerConfig(
        name=container["name"],
        image=image.id,
        argv=_argv(container, defaults, env),
        env=tuple(whole.items()),
        working_dir=container.get("workingDir") or defaults.get("WorkingDir") or "/",
        user=user(pod, container, defaults.get("User", "")),
        mounts=tuple(mounts),
        labels={**labels.pod_labels(pod), labels.CONTAINER_NAME: container["name"]},
        annotations=_annotations(container, termination_log, image_ref or image.id),
        attempt=attempt,
        log_path=str(log),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        resources=resources(container),
        security=security(pod, container),
        readonly_rootfs=bool((container.get("securityContext") or {}).get("readOnlyRootFilesystem")),
    )


def _image_env(defaults: dict[str, Any]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in defaults.get("Env") or [])


def _argv(container: Container, defaults: dict[str, Any], env: dict[str, str]) -> tuple[str, ...]:
    """`command` takes the place of ENTRYPOINT and CMD, `args` that of CMD."""
    args = container.get("args") or []
    argv = [*(container.get("command") or []), *args]
    if not container.get("command"):
        argv = [*(defaults.get("Entrypoint") or []), *(args or defaults.get("Cmd") or [])]
    if not argv:
        raise StartError("CreateContainerError", "no command specified")
    return tuple(expand(word, env) for word in argv)


def _annotations(container: Container, termination_log: Path, image_id: str) -> dict[str, str]:
    return {
        labels.CONTAINER_HASH: podutil.container_hash(container),
        labels.IMAGE_NAME: container["image"],
        labels.IMAGE_ID: image_id,
        labels.TERMINATION_PATH: str(termination_log),
        labels.TERMINATION_POLICY: container.get("terminationMessagePolicy", "File"),
    }


def resources(container: Container) -> Resources:
    """Its requests and limits in the kernel's terms (pkg/kubelet/kuberuntime: calculateLinuxResources; the numbers
    are pkg/kubelet/cm/helpers_linux.go's MilliCPUToShares and MilliCPUToQuota)."""
    asked = container.get("resources") or {}
    limits, requests = asked.get("limits") or {}, asked.get("requests") or {}
    cpu = quantity.parse(requests.get("cpu", limits.get("cpu", "0")))
    quota = quantity.parse(limits.get("cpu", "0")) * _PERIOD
    return Resources(
        memory_limit=math.ceil(quantity.parse(limits.get("memory", "0"))),
        cpu_shares=min(max(int(cpu * 1024), 2), 262144),
        cpu_quota=max(math.ceil(quota), 1000) if quota else 0,
        cpu_period=_PERIOD,
    )
