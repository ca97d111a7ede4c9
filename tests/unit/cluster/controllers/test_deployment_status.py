"""Conditions keep their times as upstream's do, and a deadline counts from the last progress."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kubelab.cluster.controllers.deployment import status
from kubelab.cluster.pods import condition

START = datetime(2026, 1, 1, tzinfo=UTC)


def deployment(current: dict[str, Any] | None = None, deadline: int = 60) -> dict[str, Any]:
    spec = {"replicas": 3, "progressDeadlineSeconds": deadline, "strategy": {"type": "RollingUpdate"}}
    return {"metadata": {"name": "web", "generation": 1}, "spec": spec, "status": current or {}}


def replica_set(replicas: int, available: int) -> dict[str, Any]:
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return {"metadata": {"name": "web-1"}, "spec": {"replicas": 3}, "status": counts}


def step(current: dict[str, Any] | None, available: int, seconds: int) -> dict[str, Any]:
    only = replica_set(3, available)
    return status.with_progress(deployment(current), [only], only, START + timedelta(seconds=seconds))


def test_a_condition_of_the_same_status_and_reason_is_left_as_it_is():
    made: dict[str, Any] = {}
    assert status.set_condition(made, "Available", "False", "A", "first", START)
    assert not status.set_condition(made, "Available", "False", "A", "second", START + timedelta(seconds=1))
    assert condition({"status": made}, "Available")["message"] == "first"


def test_the_transition_time_moves_only_with_the_status():
    made: dict[str, Any] = {}
    status.set_condition(made, "Available", "False", "A", "", START)
    status.set_condition(made, "Available", "False", "B", "", START + timedelta(seconds=1))
    found = condition({"status": made}, "Available")
    assert (found["lastTransitionTime"], found["lastUpdateTime"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z")
    status.set_condition(made, "Available", "True", "C", "", START + timedelta(seconds=2))
    assert condition({"status": made}, "Available")["lastTransitionTime"] == "2026-01-01T00:00:02Z"


def test_progress_moves_the_deadline_on():
    first = step(None, 0, 0)
    second = step(first, 1, 50)
    third = step(second, 1, 100)
    assert condition({"status": third}, "Progressing")["reason"] == "ReplicaSetUpdated"
    late = step(third, 1, 111)
    found = condition({"status": late}, "Progressing")
    assert (found["status"], found["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert found["message"] == 'ReplicaSet "web-1" has timed out progressing.'


def test_a_late_success_is_a_success():
    late = step(step(step(None, 0, 0), 0, 30), 0, 200)
    assert condition({"status": late}, "Progressing")["reason"] == "ProgressDeadlineExceeded"
    done = step(late, 3, 300)
    assert condition({"status": done}, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_after_completion_a_lost_pod_is_no_rollout():
    done = step(step(None, 0, 0), 3, 10)
    lost = step(done, 2, 1000)
    assert condition({"status": lost}, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert condition({"status": lost}, "Available")["status"] == "False"  # 25 % of 3, rounded down, is 0
