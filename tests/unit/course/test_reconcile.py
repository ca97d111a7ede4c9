"""The turns of a controller's loop, from records of what the API said."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.course.reconcile import Trace
from kubelab.course.recording import Record
from kubelab.widgets.reconcile_trace import holds

RS = "ReplicaSet/web"


@pytest.fixture
def trace() -> Trace:
    made = Trace(RS, {"matchLabels": {"app": "web"}})
    made.take(Record(0, 0, "PRESENT", "ReplicaSet", "web", state={"replicas": 2}))
    return made


def pod(name: str, what: str = "MODIFIED", app: str = "web", owner: str = RS, **state: Any) -> Record:
    whole = {"labels": {"app": app}, "owner": owner, "phase": "Running", "terminating": False, **state}
    return Record(1, 1, what, "Pod", name, state=whole)


def event(reason: str, message: str) -> Record:
    state = {"about": RS, "reason": reason, "message": message}
    return Record(1, 1, "ADDED", "Event", "e", state=state)


def test_too_few_then_enough(trace: Trace):
    assert trace.turns[0].verdict() == "2 missing: create"
    trace.take(pod("web-1", "ADDED"))
    trace.take(event("SuccessfulCreate", "Created pod: web-2"))
    turn = trace.take(pod("web-2", "ADDED"))
    assert (turn.own, turn.difference, turn.verdict()) == (("web-1", "web-2"), 0, "as wanted: nothing to do")
    assert turn.did == ("SuccessfulCreate: Created pod: web-2",)


def test_a_pod_that_changes_in_ways_the_controller_does_not_count_is_no_turn(trace: Trace):
    trace.take(pod("web-1", "ADDED"))
    assert trace.take(pod("web-1", status="CrashLoopBackOff")) is None
    assert trace.take(pod("other", "ADDED", app="db", owner="")) is None


def test_a_pod_that_ends_is_matched_and_not_counted(trace: Trace):
    for name in ("web-1", "web-2"):
        trace.take(pod(name, "ADDED"))
    turn = trace.take(pod("web-1", terminating=True))
    assert (turn.matched, turn.own, turn.ending) == (("web-1", "web-2"), ("web-2",), ("web-1",))
    turn = trace.take(pod("web-2", phase="Failed"))
    assert turn.difference == 2


def test_a_pod_that_is_relabelled_is_released_and_one_that_comes_back_adopted(trace: Trace):
    for name in ("web-1", "web-2"):
        trace.take(pod(name, "ADDED"))
    turn = trace.take(pod("web-1", app="elsewhere"))
    assert (turn.released, turn.difference) == (("web-1",), 1)
    trace.take(pod("web-1", app="elsewhere", owner=""))
    trace.take(pod("web-1", owner=""))
    turn = trace.take(pod("web-1"))
    assert (turn.adopted, turn.difference) == (("web-1",), 0)


def test_another_owners_pods_are_matched_and_not_counted(trace: Trace):
    turn = trace.take(pod("web-1", "ADDED", owner="ReplicaSet/other"))
    assert (turn.matched, turn.own) == (("web-1",), ())


def test_too_many(trace: Trace):
    for number in range(3):
        turn = trace.take(pod(f"web-{number}", "ADDED"))
    assert turn.verdict() == "1 too many: delete"
    assert trace.take(Record(2, 2, "MODIFIED", "ReplicaSet", "web", state={"replicas": 3})).difference == 0


def test_without_its_owner_there_is_no_turn(trace: Trace):
    trace.take(Record(2, 2, "DELETED", "ReplicaSet", "web"))
    assert trace.take(pod("web-1", "ADDED")) is None


def test_records_hold_what_is_there_when_none_is_older_or_too_many():
    def record(uid: str, version: int, what: str = "MODIFIED", kind: str = "Pod") -> Record:
        return Record(1, 1, what, kind, uid, uid=uid, version=str(version))

    there = {"owner": 3, "a": 7}
    seen = [record("owner", 3, kind="ReplicaSet"), record("a", 7), record("other", 8, kind="Service")]
    assert holds(seen, there)
    assert holds([*seen, record("a", 9)], there), "what came later does no harm"
    assert not holds(seen[:1], there)
    assert not holds(seen, {**there, "a": 8}), "the newest change of a is not here yet"
    assert not holds([*seen, record("b", 5)], there), "that b is gone is not here yet"
    assert holds([*seen, record("b", 5), record("b", 9, "DELETED")], there)
