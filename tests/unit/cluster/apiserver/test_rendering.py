"""Rows of `kubectl get`, by upstream's examples (pkg/printers/internalversion/printers_test.go, util/duration)."""

from __future__ import annotations

import pytest

from kubelab.cluster.apiserver import podcolumns
from kubelab.cluster.apiserver.age import human_duration

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (-5, "<invalid>"),
        (0, "0s"),
        (70, "70s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (3 * MINUTE + 15, "3m15s"),
        (10 * MINUTE + 30, "10m"),
        (47 * MINUTE, "47m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR + 20 * MINUTE, "3h20m"),
        (8 * HOUR + 30 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (3 * DAY + 2 * HOUR, "3d2h"),
        (9 * DAY + 2 * HOUR, "9d"),
        (400 * DAY, "400d"),
        (2 * 365 * DAY, "2y"),
        (3 * 365 * DAY + 10 * DAY, "3y10d"),
        (9 * 365 * DAY, "9y"),
    ],
)
def test_durations(seconds, text):
    assert human_duration(seconds) == text


def pod(*statuses: dict, phase: str = "Running", inits: tuple = (), deleted: bool = False, **status) -> dict:
    meta = {"name": "p", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    spec = {"containers": [{"name": s.get("name", "c")} for s in statuses] or [{"name": "c"}]}
    if inits:
        spec["initContainers"] = [{"name": s["name"]} for s in inits]
        status["initContainerStatuses"] = list(inits)
    return {"metadata": meta, "spec": spec, "status": {"phase": phase, "containerStatuses": list(statuses), **status}}


RUNNING = {"ready": True, "state": {"running": {}}}


@pytest.mark.parametrize(
    ("made", "ready", "word"),
    [
        (pod(RUNNING, RUNNING), "2/2", "Running"),
        (pod({"ready": False, "state": {"running": {}}}), "0/1", "Running"),
        (pod(RUNNING, {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}), "1/2", "CrashLoopBackOff"),
        (pod({"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}), "0/1", "OOMKilled"),
        (pod({"state": {"terminated": {"exitCode": 3}}}), "0/1", "ExitCode:3"),
        (pod({"state": {"terminated": {"exitCode": 0, "signal": 9}}}), "0/1", "Signal:9"),
        (pod({"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}, phase="Succeeded"), "0/1", "Completed"),
        (pod(phase="Pending"), "0/1", "Pending"),
        (pod(RUNNING, deleted=True), "1/1", "Terminating"),
        (pod(phase="Failed", reason="Evicted"), "0/1", "Evicted"),
        (pod(phase="Failed", reason="Evicted", deleted=True), "0/1", "Evicted"),
        (pod(inits=({"name": "i", "state": {"running": {}}},), phase="Pending"), "0/1", "Init:0/1"),
        (
            pod(inits=({"name": "i", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}},), phase="Pending"),
            "0/1",
            "Init:Error",
        ),
        (
            pod(inits=({"name": "i", "state": {"waiting": {"reason": "CrashLoopBackOff"}}},), phase="Pending"),
            "0/1",
            "Init:CrashLoopBackOff",
        ),
        (
            pod(RUNNING, inits=({"name": "i", "state": {"terminated": {"exitCode": 0}}},)),
            "1/1",
            "Running",
        ),
    ],
)
def test_a_pods_state_in_one_word(made, ready, word):
    assert (podcolumns.ready(made, 0), podcolumns.status(made, 0)) == (ready, word)


def test_restarts_say_when():
    ended = {"terminated": {"exitCode": 1, "finishedAt": "1970-01-01T00:00:10Z"}}
    made = pod({**RUNNING, "restartCount": 2, "lastState": ended}, {**RUNNING, "restartCount": 1})
    assert podcolumns.restarts(made, 55.0) == "3 (45s ago)"
    assert podcolumns.restarts(pod(RUNNING), 55.0) == "0"
