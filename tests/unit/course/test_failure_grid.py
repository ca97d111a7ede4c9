"""The grid's cells: the manifests, and what is said of each outcome."""

from __future__ import annotations

import pytest

from kubelab.course.failure_grid import FAILURES, POLICIES, Cell, Outcome, cells, verdict
from kubelab.course.recording import Record


def test_every_failure_meets_every_policy_under_a_name_of_its_own():
    assert len({cell.name for cell in cells()}) == len(FAILURES) * len(POLICIES) == 25


def test_only_the_replica_set_has_an_owner_and_only_the_slow_start_a_delay():
    kinds = {cell.policy: cell.manifest()["kind"] for cell in cells()}
    assert {policy for policy, kind in kinds.items() if kind == "ReplicaSet"} == {"ReplicaSet"}
    slow = [cell for cell in cells() if not cell.path]
    assert {cell.failure for cell in slow} == {"slow start"}
    assert Cell("crash", "Never + liveness").manifest()["spec"]["restartPolicy"] == "Never"


RUNS = {"phase": "Running"}
SAID = [
    ("crash", Outcome(**RUNS, restarts=1, exit="exit code 1", answer=200), "ready", "restarted (exit code 1), answers"),
    ("crash", Outcome(phase="Failed", exit="exit code 1"), "failed", "stays down (exit code 1)"),
    ("deadlock", Outcome(**RUNS, answer=0), "failed", "runs on and answers nobody, for ever"),
    ("exception", Outcome(**RUNS, answer=500), "failed", "runs on and answers with errors"),
    ("slow start", Outcome(**RUNS, answer=200), "ready", "starts in its own time, answers"),
    ("slow start", Outcome(**RUNS, restarts=3, answer=200), "crashloop", "killed while it starts, again and again"),
    ("memory leak", Outcome(**RUNS, restarts=2, answer=0), "crashloop", "restarted again and again"),
    ("crash", Outcome(**RUNS, pods=2, answer=200), "ready", "replaced by a new pod"),
]


@pytest.mark.parametrize(("failure", "outcome", "state", "words"), SAID)
def test_what_is_said_of_an_outcome(failure, outcome, state, words):
    assert verdict(Cell(failure, "no probe"), outcome) == (state, words)


def test_an_outcome_follows_the_records():
    outcome = Outcome()
    last = {"reason": "OOMKilled", "exitCode": 137}
    container = {"state": "running", "reason": "", "exitCode": None, "last": last}
    state = {"status": "Running", "Ready": True, "phase": "Running", "restarts": 1, "containers": {"faulty": container}}
    outcome.take(Record(0, 0, "MODIFIED", "Pod", "a", state=state))
    outcome.take(Record(0, 0, "ADDED", "Pod", "b", state={**state, "restarts": 0}))
    assert (outcome.pods, outcome.restarts, outcome.exit, outcome.ready) == (2, 1, "OOMKilled", True)
