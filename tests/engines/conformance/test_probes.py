"""Who is restarted by a probe, and who is not: upstream's test/e2e/common/node/container_probe.go."""

from __future__ import annotations

from datetime import datetime

import pytest

from .conftest import CORE, POD, Bench, Object, server, shell


def state(pod: Object, container: int = 0, kind: str = "containerStatuses") -> Object:
    return pod["status"][kind][container]


PROBE = "[sig-node] Probing container"


@pytest.mark.conformance(
    f"{PROBE} should be restarted with a /healthz http liveness probe",
    f'{PROBE} should be restarted with a exec "cat /tmp/health" liveness probe',
    f"{PROBE} should have monotonically increasing restart count",
)
@pytest.mark.parametrize("how", ["httpGet", "exec"])
def test_liveness_probe_that_fails(bench: Bench, how: str):
    probe = {
        "httpGet": {"httpGet": {"path": "/healthz", "port": 8080}},
        "exec": {"exec": {"command": ["cat", "/tmp/h"]}},
    }[how]
    probe |= {"periodSeconds": 1, "failureThreshold": 1, "initialDelaySeconds": 1}
    runs = (
        server(1, livenessProbe=probe)
        if how == "httpGet"
        else shell("echo ok >/tmp/h; sleep 1; rm /tmp/h; sleep 1000", livenessProbe=probe)
    )
    bench.pod("probed", runs)
    counts: list[int] = []

    def enough(pod: Object) -> bool:
        counts.append((pod["status"].get("containerStatuses") or [{}])[0].get("restartCount", 0))
        return counts[-1] >= 2

    bench.until(POD + "probed", enough, "restarted twice", 100)
    assert counts == sorted(counts)
    reasons = {e["reason"] for e in bench.get(CORE + "events", fieldSelector="involvedObject.name=probed")["items"]}
    assert {"Unhealthy", "Killing"} <= reasons


@pytest.mark.conformance(
    f"{PROBE} with readiness probe should not be ready before initial delay and never restart",
    f"{PROBE} should *not* be restarted with a /healthz http liveness probe",
    f"{PROBE} should *not* be restarted with a tcp:8080 liveness probe",
    f'{PROBE} should *not* be restarted with a exec "cat /tmp/health" liveness probe',
    f"{PROBE} with readiness probe that fails should never be ready and never restart",
)
def test_probes_that_let_live(bench: Bench):
    every = {"periodSeconds": 1, "failureThreshold": 1}
    late = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 3, "periodSeconds": 1}
    http = {"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 2, **every}
    tcp = {"tcpSocket": {"port": 8080}, "initialDelaySeconds": 2, **every}
    cat = {"exec": {"command": ["cat", "/tmp/health"]}, "initialDelaySeconds": 1, **every}
    bench.pod("http", server(livenessProbe=http, readinessProbe=late))
    bench.pod("tcp", server(0, livenessProbe=tcp))
    bench.pod("exec", shell("echo ok >/tmp/health; sleep 1000", livenessProbe=cat))
    bench.pod("never", shell("sleep 1000", readinessProbe={"exec": {"command": ["false"]}, **every}))
    pod = bench.ready("http")
    stamp = state(pod)["state"]["running"]["startedAt"]
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")["lastTransitionTime"]
    assert _seconds(ready) - _seconds(stamp) >= 2  # whole seconds are written
    for name in ("http", "tcp", "exec", "never"):
        pod = bench.until(POD + name, lambda p: p["status"]["phase"] == "Running", "runs")
        assert state(pod)["restartCount"] == 0
    assert state(bench.get(POD + "never"))["ready"] is False


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
