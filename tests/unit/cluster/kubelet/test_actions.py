"""What the kubelet does next, as a table: what the pod asks for × what the runtime says."""

from __future__ import annotations

from kubelab.cluster.kubelet.actions import PodActions, Verdict, compute
from kubelab.cluster.kubelet.runtime_status import RuntimePod

from .builders import (
    deleting,
    exited,
    make_container,
    make_pod,
    make_sandbox,
    observed,
    running,
)

A, B = make_container("a"), make_container("b")
INIT = make_container("init")
SIDECAR = make_container("side", restartPolicy="Always")


def plan(pod: dict, state: RuntimePod, verdict: Verdict = Verdict.FINE, started: bool = True) -> PodActions:
    return compute(pod, state, lambda _: verdict, lambda *_: started)


def names(containers: list[dict]) -> list[str]:
    return [c["name"] for c in containers]


def messages(actions: PodActions) -> list[str]:
    return [message for _, _, message in actions.to_kill]


def test_a_new_pod_gets_a_sandbox_and_all_its_containers() -> None:
    actions = plan(make_pod(A, B), RuntimePod())
    assert (actions.create_sandbox, actions.attempt, names(actions.to_start)) == (True, 0, ["a", "b"])


def test_a_new_pod_with_init_containers_starts_the_first_alone() -> None:
    actions = plan(make_pod(A, init=[INIT, make_container("second")]), RuntimePod())
    assert (names(actions.init_to_start), actions.to_start) == (["init"], [])


def test_nothing_to_do_where_all_runs() -> None:
    assert plan(make_pod(A, B), observed(running(A), running(B))) == PodActions()


def test_a_lost_sandbox_is_made_anew_with_the_next_attempt() -> None:
    actions = plan(make_pod(A), observed(exited(A, 137), sandbox=make_sandbox(attempt=2, ready=False)))
    assert (actions.kill_pod, actions.create_sandbox, actions.attempt) == (True, True, 3)
    assert names(actions.to_start) == ["a"]


def test_a_lost_sandbox_ends_a_pod_that_never_restarts() -> None:
    pod = make_pod(A, restartPolicy="Never")
    assert plan(pod, observed(exited(A, 137), sandbox=make_sandbox(ready=False))).done


def test_a_lost_sandbox_does_not_run_again_what_has_succeeded() -> None:
    pod = make_pod(A, B, restartPolicy="OnFailure")
    actions = plan(pod, observed(exited(A, 0), exited(B, 1), sandbox=make_sandbox(ready=False)))
    assert names(actions.to_start) == ["b"]


def test_restart_policies() -> None:
    expected = {"Always": {0: True, 1: True}, "OnFailure": {0: False, 1: True}, "Never": {0: False, 1: False}}
    for policy, by_code in expected.items():
        for code, restarts in by_code.items():
            actions = plan(make_pod(A, B, restartPolicy=policy), observed(exited(A, code), running(B)))
            assert names(actions.to_start) == (["a"] if restarts else []), (policy, code)
            assert not actions.kill_pod


def test_a_pod_with_nothing_left_to_run_is_done() -> None:
    pod = make_pod(A, B, restartPolicy="OnFailure")
    assert plan(pod, observed(exited(A, 0), exited(B, 0))).done


def test_nothing_is_started_in_a_pod_that_is_being_deleted() -> None:
    assert plan(deleting(make_pod(A, B)), observed(exited(A, 1), running(B))).to_start == []


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    actions = plan(make_pod(A), observed(running(A)), Verdict.LIVENESS_FAILED)
    assert messages(actions) == ["Container a failed liveness probe, will be restarted"]
    assert names(actions.to_start) == ["a"]


def test_a_failed_liveness_probe_only_kills_where_nothing_restarts() -> None:
    actions = plan(make_pod(A, B, restartPolicy="Never"), observed(running(A), running(B)), Verdict.LIVENESS_FAILED)
    assert messages(actions) == ["Container a failed liveness probe", "Container b failed liveness probe"]
    assert actions.to_start == []


def test_a_failed_startup_probe_restarts_the_container() -> None:
    actions = plan(make_pod(A), observed(running(A)), Verdict.STARTUP_FAILED)
    assert messages(actions) == ["Container a failed startup probe, will be restarted"]


def test_a_new_image_replaces_the_container() -> None:
    changed = {**A, "image": "kubelab/python:2"}
    actions = plan(make_pod(changed), observed(running(A)))
    assert messages(actions) == ["Container a definition changed, will be restarted"]


def test_init_containers_run_one_after_another() -> None:
    second = make_container("second")
    pod = make_pod(A, init=[INIT, second])
    assert names(plan(pod, observed(running(INIT))).init_to_start) == []
    assert names(plan(pod, observed(exited(INIT, 0))).init_to_start) == ["second"]
    assert names(plan(pod, observed(exited(INIT, 0), exited(second, 0))).to_start) == ["a"]


def test_a_failed_init_container_is_tried_again_or_ends_the_pod() -> None:
    assert names(plan(make_pod(A, init=[INIT]), observed(exited(INIT, 1))).init_to_start) == ["init"]
    assert plan(make_pod(A, init=[INIT], restartPolicy="Never"), observed(exited(INIT, 1))).done


def test_init_containers_do_not_run_again_in_the_same_sandbox() -> None:
    assert plan(make_pod(A, init=[INIT]), observed(exited(A, 1))).init_to_start == []


def test_a_sidecar_must_have_started_before_the_rest() -> None:
    pod = make_pod(A, init=[SIDECAR])
    assert plan(pod, observed(running(SIDECAR)), started=False).to_start == []
    assert names(plan(pod, observed(running(SIDECAR)), started=True).to_start) == ["a"]


def test_a_sidecar_that_ends_is_started_again_beside_the_running_containers() -> None:
    actions = plan(make_pod(A, init=[SIDECAR]), observed(running(A), exited(SIDECAR, 0)))
    assert (names(actions.init_to_start), actions.kill_pod) == (["side"], False)
