"""A table of phases, after upstream's TestPodPhaseWithRestart* and TestPodPhaseWithRestartAlwaysAndPodHasRun."""

from __future__ import annotations

import pytest

from kubelab.cluster.kubelet.phase import get_phase

from .builders import make_container, make_pod

RUNNING = {"state": {"running": {}}}
READY_SIDECAR = {"state": {"running": {}}, "started": True}
OK = {"state": {"terminated": {"exitCode": 0}}}
FAILED = {"state": {"terminated": {"exitCode": 1}}}
WAITING = {"state": {"waiting": {"reason": "ContainerCreating"}}}
BACKOFF = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}
BACKOFF_OK = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 0}}}


def phase(policy: str, *statuses: dict | None, init: list | None = None, sidecar: dict | None = None, **options) -> str:
    containers = [make_container(f"c{i}") for i in range(len(statuses))]
    inits = [make_container(f"i{i}") for i in range(len(init or []))]
    told = [{"name": f"c{i}", **s} for i, s in enumerate(statuses) if s]
    told += [{"name": f"i{i}", **s} for i, s in enumerate(init or []) if s]
    if sidecar is not None:
        inits.append(make_container("side", restartPolicy="Always"))
        told += [{"name": "side", **sidecar}] if sidecar else []
    pod = make_pod(*containers, init=inits, restartPolicy=policy)
    return get_phase(pod, told, **{"terminal": False, "initialized": False, **options})


@pytest.mark.parametrize(
    ("policy", "statuses", "expected"),
    [
        ("Always", [None, None], "Pending"),
        ("Always", [WAITING, WAITING], "Pending"),
        ("Always", [RUNNING, RUNNING], "Running"),
        ("Always", [RUNNING, WAITING], "Pending"),
        ("Always", [RUNNING, None], "Pending"),
        ("Always", [RUNNING, FAILED], "Running"),
        ("Always", [OK, OK], "Running"),
        ("Always", [FAILED, FAILED], "Running"),
        ("Always", [RUNNING, BACKOFF], "Running"),
        ("Always", [BACKOFF, BACKOFF], "Running"),
        ("Never", [RUNNING, RUNNING], "Running"),
        ("Never", [RUNNING, FAILED], "Running"),
        ("Never", [OK, OK], "Succeeded"),
        ("Never", [OK, FAILED], "Failed"),
        ("Never", [FAILED, FAILED], "Failed"),
        ("OnFailure", [OK, OK], "Succeeded"),
        ("OnFailure", [OK, FAILED], "Running"),
        ("OnFailure", [FAILED, FAILED], "Running"),
        ("OnFailure", [OK, BACKOFF], "Running"),
        ("OnFailure", [BACKOFF_OK], "Running"),
        ("OnFailure", [RUNNING, OK], "Running"),
    ],
)
def test_containers(policy: str, statuses: list, expected: str) -> None:
    assert phase(policy, *statuses) == expected


@pytest.mark.parametrize(
    ("policy", "init", "own", "expected"),
    [
        ("Always", [RUNNING], [WAITING], "Pending"),
        ("Always", [FAILED], [WAITING], "Pending"),
        ("Always", [BACKOFF], [WAITING], "Pending"),
        ("Never", [FAILED], [WAITING], "Failed"),
        ("Never", [OK], [RUNNING], "Running"),
        ("Never", [OK, WAITING], [WAITING], "Pending"),
        ("OnFailure", [OK], [OK], "Succeeded"),
        ("Always", [None], [WAITING], "Pending"),
    ],
)
def test_init_containers(policy: str, init: list, own: list, expected: str) -> None:
    assert phase(policy, *own, init=init) == expected


@pytest.mark.parametrize(
    ("sidecar", "own", "initialized", "expected"),
    [
        ({}, WAITING, False, "Pending"),
        (RUNNING, WAITING, False, "Pending"),
        (READY_SIDECAR, RUNNING, True, "Running"),
        (READY_SIDECAR, OK, True, "Running"),
        (FAILED, OK, True, "Succeeded"),
        (BACKOFF, RUNNING, True, "Running"),
    ],
)
def test_sidecars(sidecar: dict, own: dict, initialized: bool, expected: str) -> None:
    assert phase("Never", own, sidecar=sidecar, initialized=initialized) == expected


@pytest.mark.parametrize(
    ("statuses", "expected"), [([OK, OK], "Succeeded"), ([OK, FAILED], "Failed"), ([WAITING], "Pending")]
)
def test_a_pod_that_will_not_run_again_ends_whatever_its_policy(statuses: list, expected: str) -> None:
    assert phase("Always", *statuses, terminal=True) == expected
