"""Reading a pod object: the small questions that every part of the kubelet asks.

Upstream: pkg/api/v1/pod/util.go, pkg/kubelet/container/helpers.go. A pod is the API's plain dict.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

Pod = dict[str, Any]
Container = dict[str, Any]

DEFAULT_GRACE_SECONDS = 30
TERMINAL_PHASES = ("Failed", "Succeeded")


def uid(pod: Pod) -> str:
    return pod["metadata"]["uid"]


def name(pod: Pod) -> str:
    return pod["metadata"]["name"]


def namespace(pod: Pod) -> str:
    return pod["metadata"]["namespace"]


def describe(pod: Pod) -> str:
    """`name_namespace(uid)`, as the kubelet's messages call a pod (pkg/kubelet/util/format)."""
    return f"{name(pod)}_{namespace(pod)}({uid(pod)})"


def restart_policy(pod: Pod) -> str:
    return pod["spec"].get("restartPolicy", "Always")


def is_deleting(pod: Pod) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_terminal(pod: Pod) -> bool:
    return pod.get("status", {}).get("phase") in TERMINAL_PHASES


def containers(pod: Pod) -> list[Container]:
    return pod["spec"].get("containers", [])


def init_containers(pod: Pod) -> list[Container]:
    return pod["spec"].get("initContainers") or []


def ephemeral_containers(pod: Pod) -> list[Container]:
    """What `kubectl debug` has added to a running pod."""
    return pod["spec"].get("ephemeralContainers") or []


def all_containers(pod: Pod) -> Iterator[Container]:
    """Init containers first, in the order in which they start."""
    yield from init_containers(pod)
    yield from containers(pod)


def find_container(pod: Pod, container_name: str) -> Container | None:
    everything = (*all_containers(pod), *ephemeral_containers(pod))
    return next((c for c in everything if c["name"] == container_name), None)


def is_sidecar(container: Container) -> bool:
    """A restartable init container: it starts in order and then stays beside the pod's own containers."""
    return container.get("restartPolicy") == "Always"


def field_path(pod: Pod, container: Container) -> str:
    """Where an event about this container points: `spec.containers{name}`."""
    kind = "initContainers" if container in init_containers(pod) else "containers"
    kind = "ephemeralContainers" if container in ephemeral_containers(pod) else kind
    return f"spec.{kind}{{{container['name']}}}"


def grace_period(pod: Pod) -> int:
    """Seconds between SIGTERM and SIGKILL: the deletion's own, else the pod's."""
    chosen = pod["metadata"].get("deletionGracePeriodSeconds")
    if chosen is None:
        chosen = pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
    return max(int(chosen), 1)


def container_hash(container: Container) -> str:
    """What decides that a running container no longer is the one that was asked for: its name and image."""
    return hashlib.sha256(f"{container['name']}\n{container['image']}".encode()).hexdigest()[:8]


def find_status(statuses: list[dict[str, Any]], container_name: str) -> dict[str, Any] | None:
    return next((s for s in statuses if s["name"] == container_name), None)


def find_port(container: Container, port: int | str) -> int:
    """A probe's or a hook's port as a number; a name is looked up among the container's ports.

    Raises ValueError in upstream's words where no port has that name.
    """
    if isinstance(port, int) or re.fullmatch(r"\d+", str(port)):
        number = int(port)
    else:
        number = next((p["containerPort"] for p in container.get("ports", []) if p.get("name") == port), 0)
        if not number:
            raise ValueError(f"couldn't find port: {port!r} in container {container['name']!r}")
    if not 0 < number < 65536:
        raise ValueError(f"invalid port number: {number}")
    return number
