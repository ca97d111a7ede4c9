"""Container statuses and the pod's status around them, from what the runtime says."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.kubelet import lookup, pod_status
from kubelab.cluster.kubelet.container_status import container_statuses
from kubelab.cluster.kubelet.reasons import ReasonCache, StartError
from kubelab.cluster.kubelet.runtime_status import RuntimePod

from .builders import deleting, exited, make_container, make_pod, make_sandbox, observed, running

A = make_container("app")
STARTED, FINISHED = "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"


def statuses(state: RuntimePod, old: list | None = None, pod: dict | None = None, reason: str = "") -> dict[str, Any]:
    reasons = ReasonCache()
    if reason:
        reasons.set("uid-1", "app", StartError(reason, "why"))
    return container_statuses(pod or make_pod(A), state, old or [], [A], reasons)[0]


def test_before_it_is_made() -> None:
    told = statuses(RuntimePod())
    assert told["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert (told["image"], told["imageID"], told["restartCount"], told["ready"]) == ("kubelab/python", "", 0, False)


def test_running() -> None:
    told = statuses(observed(running(A)))
    assert told["state"] == {"running": {"startedAt": STARTED}}
    assert (told["containerID"], told["imageID"]) == ("kubelab://app-0", "sha256:1")


def test_ended() -> None:
    told = statuses(observed(exited(A, 137, reason="OOMKilled")), pod=make_pod(A, restartPolicy="Never"))
    assert told["state"]["terminated"] == {
        "exitCode": 137,
        "reason": "OOMKilled",
        "startedAt": STARTED,
        "finishedAt": FINISHED,
        "containerID": "kubelab://app-0",
    }


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (1, "Error")])
def test_the_reason_of_an_end_that_the_runtime_gives_none_for(code: int, reason: str) -> None:
    assert statuses(observed(exited(A, code)))["state"]["terminated"]["reason"] == reason


def test_the_attempt_before_is_the_last_state() -> None:
    told = statuses(observed(exited(A, 3), running(A, attempt=1)))
    assert ("running" in told["state"], told["lastState"]["terminated"]["exitCode"]) == (True, 3)
    assert told["restartCount"] == 1


def test_one_that_waits_to_be_started_again() -> None:
    told = statuses(observed(exited(A, 3)), reason="CrashLoopBackOff")
    assert told["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "why"}}
    assert told["lastState"]["terminated"]["exitCode"] == 3


def test_one_that_will_not_be_started_again_does_not_wait() -> None:
    pod = make_pod(A, restartPolicy="Never")
    assert "terminated" in statuses(observed(exited(A, 3)), pod=pod, reason="CrashLoopBackOff")["state"]
    assert "terminated" in statuses(observed(exited(A, 3)), pod=deleting(make_pod(A)), reason="X")["state"]


def test_one_that_ran_and_is_gone_from_the_runtime() -> None:
    before = statuses(observed(running(A)))
    told = statuses(RuntimePod(), [before])
    assert told["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"
    assert (told["lastState"]["terminated"]["exitCode"], told["restartCount"]) == (137, 1)
    assert statuses(RuntimePod(), [before], pod=deleting(make_pod(A)))["restartCount"] == 0


def test_one_that_had_ended_and_is_gone_from_the_runtime_stays_as_told() -> None:
    before = statuses(observed(exited(A, 3)), pod=make_pod(A, restartPolicy="Never"))
    assert statuses(RuntimePod(), [before], pod=make_pod(A, restartPolicy="Never")) == before


def generate(pod: dict, state: RuntimePod, old: dict | None = None, **options: Any) -> dict[str, Any]:
    def probes(_: dict, status: dict) -> None:
        for told in status["containerStatuses"]:
            told["ready"] = told["started"] = "running" in told["state"]

    old = old or {}
    return pod_status.generate(pod, state, old, host_ip="172.31.0.11", reasons=ReasonCache(), probes=probes, **options)


def test_a_pod_keeps_its_address_when_its_sandbox_is_gone() -> None:
    first = generate(make_pod(A), observed(running(A)))
    later = generate(make_pod(A), RuntimePod(), first)
    assert (later["podIP"], later["podIPs"]) == ("10.244.1.5", [{"ip": "10.244.1.5"}])


def test_a_pod_never_leaves_its_final_phase() -> None:
    pod = make_pod(A)
    pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "gone"}
    told = generate(pod, observed(running(A)))
    assert (told["phase"], told["reason"], told["message"]) == ("Failed", "Evicted", "gone")


def test_conditions_of_others_stay() -> None:
    pod = make_pod(A, readinessGates=[{"conditionType": "shop/open"}])
    gate = {"type": "shop/open", "status": "False"}
    pod["status"]["conditions"] = [gate]
    told = generate(pod, observed(running(A)))
    ready = next(c for c in told["conditions"] if c["type"] == "Ready")
    assert gate in told["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    assert ready["message"] == 'the status of pod readiness gate "shop/open" is not "True", but False'


def test_a_lost_sandbox_is_not_ready_to_start_containers() -> None:
    told = generate(make_pod(A), observed(exited(A, 137), sandbox=make_sandbox(ready=False)))
    by_type = {c["type"]: c["status"] for c in told["conditions"]}
    assert (by_type["PodReadyToStartContainers"], by_type["Ready"]) == ("False", "False")


def told_of(*attempts: Any, reason: str = "") -> dict[str, Any]:
    return {"containerStatuses": [statuses(observed(*attempts), reason=reason)]}


def test_whose_logs() -> None:
    crashing = told_of(exited(A, 1, attempt=0), exited(A, 1, attempt=1), reason="CrashLoopBackOff")
    restarted = told_of(exited(A, 1), running(A, attempt=1))
    assert lookup.container_id(restarted, "p", "app", previous=False) == "app-1"
    assert lookup.container_id(restarted, "p", "app", previous=True) == "app-0"
    assert lookup.container_id(crashing, "p", "app", previous=False) == "app-1"


@pytest.mark.parametrize(
    ("status", "name", "previous", "message"),
    [
        (told_of(running(A)), "app", True, 'previous terminated container "app" in pod "p" not found'),
        (told_of(), "app", False, 'container "app" in pod "p" is waiting to start: ContainerCreating'),
        (
            told_of(reason="ImagePullBackOff"),
            "app",
            False,
            'container "app" in pod "p" is waiting to start: trying and failing to pull image',
        ),
        (told_of(running(A)), "x", False, 'container "x" in pod "p" is not available'),
    ],
)
def test_when_there_are_no_logs(status: dict, name: str, previous: bool, message: str) -> None:
    with pytest.raises(KeyError) as caught:
        lookup.container_id(status, "p", name, previous=previous)
    assert caught.value.args[0] == message
