"""Security contexts (upstream: pkg/kubelet/kuberuntime/security_context_others_test.go, pkg/kubelet/sysctl)."""

from __future__ import annotations

import pytest

from kubelab.cluster.kubelet import admission
from kubelab.cluster.kubelet.reasons import StartError
from kubelab.cluster.kubelet.security import security, user
from kubelab.runtime.api import Security

from .builders import make_container, make_pod


def test_nothing_asked_for_is_the_default() -> None:
    assert security(make_pod(), make_container()) == Security()


def test_what_the_runtime_is_told() -> None:
    capabilities = {"add": ["NET_ADMIN"], "drop": ["ALL"]}
    container = make_container(securityContext={"capabilities": capabilities, "allowPrivilegeEscalation": False})
    pod = make_pod(securityContext={"supplementalGroups": [7], "fsGroup": 8})
    assert security(pod, container) == Security(("NET_ADMIN",), ("ALL",), True, (7, 8))


@pytest.mark.parametrize("where", ["pod", "container"])
def test_a_seccomp_profile_of_a_file_is_refused(where: str) -> None:
    asked = {"seccompProfile": {"type": "Localhost", "localhostProfile": "audit.json"}}
    pod, container = make_pod(), make_container()
    (pod["spec"] if where == "pod" else container)["securityContext"] = asked
    with pytest.raises(
        StartError, match=r'cannot load seccomp profile "audit\.json": seccomp is not supported'
    ) as refused:
        security(pod, container)
    assert refused.value.reason == "CreateContainerError"
    asked["seccompProfile"]["type"] = "RuntimeDefault"
    assert security(pod, container) == Security()


def test_privileged_is_every_capability() -> None:
    container = make_container(securityContext={"privileged": True, "capabilities": {"drop": ["ALL"]}})
    assert security(make_pod(), container) == Security(("ALL",))


@pytest.mark.parametrize(
    ("of_pod", "of_container", "of_image", "found"),
    [
        ({}, {}, "nobody", "nobody"),
        ({"runAsUser": 1000}, {"runAsUser": 2000, "runAsGroup": 3000}, "", "2000:3000"),
        ({"runAsGroup": 3000}, {}, "", "0:3000"),
        ({"runAsUser": 1000, "runAsNonRoot": True}, {"runAsUser": None}, "root", "1000"),
    ],
)
def test_the_user(of_pod: dict, of_container: dict, of_image: str, found: str) -> None:
    pod, container = make_pod(securityContext=of_pod), make_container(securityContext=of_container)
    assert user(pod, container, of_image) == found


def test_sysctls() -> None:
    safe = {"name": "net.ipv4.tcp_syncookies", "value": "0"}
    assert admission.reject(make_pod(securityContext={"sysctls": [safe]})) is None
    unsafe = {"name": "kernel/msgmax", "value": "1"}
    assert admission.reject(make_pod(securityContext={"sysctls": [safe, unsafe]})) == (
        "SysctlForbidden",
        'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted',
    )
