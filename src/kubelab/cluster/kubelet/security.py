"""A container's security context in the runtime's terms.

Upstream: pkg/kubelet/kuberuntime/security_context{,_others}.go, pkg/securitycontext/util.go. `privileged` gives every
capability within the lab's user namespace, as rootless container engines do: none of them counts outside it.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.runtime.api import Security


def effective(pod: Pod, container: Container) -> dict[str, Any]:
    """The container's own fields, else the pod's (DetermineEffectiveSecurityContext)."""
    own = {key: value for key, value in (container.get("securityContext") or {}).items() if value is not None}
    return {**(pod["spec"].get("securityContext") or {}), **own}


def security(pod: Pod, container: Container) -> Security:
    """StartError for a seccomp profile of a file: containers run without a filter, so none can be loaded."""
    of_pod, wanted = pod["spec"].get("securityContext") or {}, effective(pod, container)
    _refuse_profile(wanted.get("seccompProfile") or {})
    capabilities = wanted.get("capabilities") or {}
    added = ["ALL"] if wanted.get("privileged") else capabilities.get("add") or []
    groups = [*(of_pod.get("supplementalGroups") or [])]
    if of_pod.get("fsGroup") is not None:
        groups.append(of_pod["fsGroup"])
    return Security(
        add_capabilities=tuple(added),
        drop_capabilities=() if wanted.get("privileged") else tuple(capabilities.get("drop") or []),
        no_new_privileges=wanted.get("allowPrivilegeEscalation") is False,
        supplementary_groups=tuple(groups),
    )


def _refuse_profile(profile: dict[str, Any]) -> None:
    """As containerd's generateSeccompSpecOpts does where there is no seccomp; its default profile is waived."""
    if profile.get("type") == "Localhost":
        problem = f"cannot load seccomp profile {profile.get('localhostProfile', '')!r}: seccomp is not supported"
        raise StartError("CreateContainerError", problem.replace("'", '"'))


def user(pod: Pod, container: Container, of_image: str) -> str:
    """`uid[:gid]` of the security context, else the image's user. StartError: root where runAsNonRoot is asked for."""
    wanted = effective(pod, container)
    uid, gid = wanted.get("runAsUser"), wanted.get("runAsGroup")
    if wanted.get("runAsNonRoot"):
        _refuse_root(pod, container, uid, of_image.partition(":")[0])
    chosen = str(uid) if uid is not None else of_image
    return f"{chosen.partition(':')[0] or 0}:{gid}" if gid is not None else chosen


def _refuse_root(pod: Pod, container: Container, uid: int | None, of_image: str) -> None:
    """verifyRunAsNonRoot."""
    problem = ""
    if uid is not None:
        problem = "container's runAsUser breaks non-root policy" if uid == 0 else ""
    elif of_image in ("", "0", "root"):
        problem = "container has runAsNonRoot and image will run as root"
    elif not of_image.isdigit():
        problem = f"container has runAsNonRoot and image has non-numeric user ({of_image}), "
        problem += "cannot verify user is non-root"
    if problem:
        where = f'(pod: "{podutil.describe(pod)}", container: {container["name"]})'
        raise StartError("CreateContainerConfigError", f"{problem} {where}")
