"""The word that `kubectl get pods` has for a pod's state, READY and RESTARTS: printPod in printers.go, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.apiserver import podcolumns

NOW = 1_767_225_720.0  # 2026-01-01T00:02:00Z
ENDED = {"lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}}}
RUNNING: dict[str, Any] = {"running": {}}
INITIALIZED = {"type": "Initialized", "status": "True"}


def waiting(reason: str) -> dict:
    return {"waiting": {"reason": reason}}


def ended(code: int, reason: str = "", signal: int = 0) -> dict:
    return {
        "terminated": {
            "exitCode": code,
            **({"reason": reason} if reason else {}),
            **({"signal": signal} if signal else {}),
        }
    }


def status(name: str, state: dict, **more: object) -> dict:
    return {"name": name, "state": state, **more}


def pod(
    phase: str,
    *containers: dict,
    inits: tuple[dict, ...] = (),
    sidecars: tuple[str, ...] = (),
    going: bool = False,
    **more: object,
) -> dict:
    """A pod with these container statuses; `sidecars` names init containers that go on running."""
    specs = [{"name": s["name"], **({"restartPolicy": "Always"} if s["name"] in sidecars else {})} for s in inits]
    return {
        "metadata": {"name": "p", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})},
        "spec": {"containers": [{"name": c["name"]} for c in containers] or [{"name": "c"}], "initContainers": specs},
        "status": {"phase": phase, "containerStatuses": list(containers), "initContainerStatuses": list(inits), **more},
    }


C = status("c", waiting("PodInitializing"))
UP = status("c", RUNNING, ready=True)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (pod("Pending"), "Pending"),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            "SchedulingGated",
        ),
        (pod("Pending", status("c", waiting("ContainerCreating"))), "ContainerCreating"),
        (pod("Pending", status("c", waiting("ImagePullBackOff"))), "ImagePullBackOff"),
        (pod("Pending", C, inits=(status("i", RUNNING),)), "Init:0/1"),
        (pod("Pending", C, inits=(status("i", waiting("PodInitializing")),)), "Init:0/1"),
        (pod("Pending", C, inits=(status("i", ended(0)), status("j", RUNNING))), "Init:1/2"),
        (pod("Pending", C, inits=(status("i", waiting("CrashLoopBackOff")),)), "Init:CrashLoopBackOff"),
        (pod("Pending", C, inits=(status("i", ended(1, "Error")),)), "Init:Error"),
        (pod("Pending", C, inits=(status("i", ended(3)),)), "Init:ExitCode:3"),
        (pod("Pending", C, inits=(status("i", ended(137, signal=9)),)), "Init:Signal:9"),
        (pod("Pending", C, inits=(status("i", ended(0, "Completed")),)), "PodInitializing"),
        (pod("Running", UP), "Running"),
        (pod("Running", status("c", waiting("CrashLoopBackOff"))), "CrashLoopBackOff"),
        (pod("Running", status("c", ended(1, "Error"))), "Error"),
        (pod("Running", status("c", ended(137, "OOMKilled"))), "OOMKilled"),
        (pod("Failed", status("c", ended(137, "ContainerStatusUnknown"))), "ContainerStatusUnknown"),
        (pod("Failed", status("c", ended(2))), "ExitCode:2"),
        (pod("Failed", status("c", ended(139, signal=11))), "Signal:11"),
        (pod("Failed", reason="Evicted"), "Evicted"),
        (pod("Failed", reason="DeadlineExceeded"), "DeadlineExceeded"),
        (pod("Succeeded", status("c", ended(0, "Completed"))), "Completed"),
        (pod("Running", status("c", ended(0, "Completed")), {**UP, "name": "d"}), "NotReady"),
        (
            pod(
                "Running",
                status("c", ended(0, "Completed")),
                {**UP, "name": "d"},
                conditions=[{"type": "Ready", "status": "True"}],
            ),
            "Running",
        ),
        (pod("Running", UP, going=True), "Terminating"),
        (pod("Running", UP, going=True, reason="NodeLost"), "Unknown"),
        (pod("Succeeded", status("c", ended(0, "Completed")), going=True), "Completed"),
        (pod("Running", UP, inits=(status("s", RUNNING, started=True),), sidecars=("s",)), "Running"),
        (pod("Pending", C, inits=(status("s", RUNNING, started=False),), sidecars=("s",)), "Init:0/1"),
        (
            pod(
                "Running",
                status("c", waiting("CrashLoopBackOff")),
                inits=(status("s", ended(1, "Error")),),
                sidecars=("s",),
                conditions=[INITIALIZED],
            ),
            "CrashLoopBackOff",
        ),
        (pod("Unknown", UP), "Unknown"),
    ],
)
def test_the_word(found: dict, word: str):
    assert podcolumns.status(found, NOW) == word


def test_ready_counts_sidecars():
    sidecar = status("s", RUNNING, started=True, ready=True)
    assert podcolumns.ready(pod("Running", UP, inits=(sidecar,), sidecars=("s",)), NOW) == "2/2"
    assert podcolumns.ready(pod("Running", UP, inits=(status("i", ended(0)),)), NOW) == "1/1"


def test_restarts_say_how_long_ago():
    again = {**UP, "restartCount": 1, **ENDED}
    assert podcolumns.restarts(pod("Running", again), NOW) == "1 (2m ago)"
    assert podcolumns.restarts(pod("Running", {**UP, "restartCount": 0}), NOW) == "0"


def test_restarts_of_init_containers_count_while_they_run():
    init = status("i", RUNNING, restartCount=3, **ENDED)
    assert podcolumns.restarts(pod("Pending", C, inits=(init,)), NOW) == "3 (2m ago)"
    done = status("i", ended(0), restartCount=3, **ENDED)
    assert podcolumns.restarts(pod("Running", UP, inits=(done,)), NOW) == "0"
    sidecar = status("s", RUNNING, started=True, restartCount=2, **ENDED)
    assert podcolumns.restarts(pod("Running", UP, inits=(sidecar,), sidecars=("s",)), NOW) == "2 (2m ago)"
