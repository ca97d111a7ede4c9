"""Pods and runtime states for tests, with only what a test is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet import runtime_status as labels
from kubelab.cluster.kubelet.runtime_status import RuntimePod
from kubelab.runtime.api import (
    ContainerConfig,
    ContainerState,
    ContainerStatus,
    PodSandboxConfig,
    PodSandboxStatus,
    SandboxState,
)

STARTED = "2026-01-01T00:00:00.123456789Z"
FINISHED = "2026-01-01T00:01:00.987654321Z"


def make_container(name: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "kubelab/python", "imagePullPolicy": "IfNotPresent", "command": ["serve"], **fields}


def make_pod(*containers: dict[str, Any], init: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    spec = {
        "restartPolicy": "Always",
        "nodeName": "node-1",
        "containers": list(containers or [make_container()]),
        **spec,
    }
    if init:
        spec["initContainers"] = init
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "uid": "uid-1",
            "labels": {"app": "shop"},
            "annotations": {"a": "b"},
        },
        "spec": spec,
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }


def deleting(pod: dict[str, Any], grace: int = 30) -> dict[str, Any]:
    metadata = {**pod["metadata"], "deletionTimestamp": "2026-01-01T00:02:00Z", "deletionGracePeriodSeconds": grace}
    return {**pod, "metadata": metadata}


def make_sandbox(id: str = "sandbox", ip: str = "10.244.1.5", attempt: int = 0, ready: bool = True) -> PodSandboxStatus:
    config = PodSandboxConfig("p", "ns", "uid-1", "node-1", attempt=attempt, labels={labels.POD_UID: "uid-1"})
    state = SandboxState.READY if ready else SandboxState.NOTREADY
    return PodSandboxStatus(id, config, state, STARTED, ip, 100)


def _container(spec: dict[str, Any], attempt: int, sandbox: str) -> ContainerStatus:
    annotations = {labels.CONTAINER_HASH: podutil.container_hash(spec), labels.IMAGE_NAME: spec["image"]}
    config = ContainerConfig(spec["name"], "sha256:1", ("python3",), attempt=attempt, annotations=annotations)
    created = f"2026-01-01T00:00:{attempt:02}.000000000Z"
    return ContainerStatus(f"{spec['name']}-{attempt}", sandbox, config, ContainerState.CREATED, created)


def running(spec: dict[str, Any], attempt: int = 0, sandbox: str = "sandbox") -> ContainerStatus:
    return replace(_container(spec, attempt, sandbox), state=ContainerState.RUNNING, started_at=STARTED)


def exited(spec: dict[str, Any], code: int, attempt: int = 0, sandbox: str = "sandbox", **more: Any) -> ContainerStatus:
    ended = {"state": ContainerState.EXITED, "started_at": STARTED, "finished_at": FINISHED, "exit_code": code}
    return replace(_container(spec, attempt, sandbox), **ended, **more)


def observed(*containers: ContainerStatus, sandbox: PodSandboxStatus | None = None) -> RuntimePod:
    return RuntimePod([sandbox or make_sandbox()], sorted(containers, key=lambda c: c.created_at, reverse=True))
