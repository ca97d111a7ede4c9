"""Probes in all their options (upstream: test/e2e/common/node/container_probe.go)."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.cluster.lab import eventually

from .conftest import Bench, python, shell

HEALTH = (Path(__file__).parents[2] / "grpc_health.py").read_text().replace("int(sys.argv[1])", "5000")
ECHO_HEADERS = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.headers["X-Ask"] == "please" and self.headers["Host"] == "shop.example" and self.path == "/a?b=c"
        self.send_response(200 if good else 500); self.end_headers()
    do_HEAD = do_GET
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


async def restarts(bench: Bench, count: int = 1) -> None:
    async def restarted() -> bool:
        return (await bench.status("p")).get("restartCount", 0) >= count

    await eventually(restarted, f"{count} restarts", 30)


async def test_should_not_be_restarted_with_a_grpc_liveness_probe(bench: Bench) -> None:
    probe = {"grpc": {"port": 5000, "service": "up"}, "periodSeconds": 1, "failureThreshold": 3}
    await bench.create("p", python(HEALTH, livenessProbe=probe, readinessProbe=probe))
    await bench.ready("p")
    assert (await bench.status("p"))["restartCount"] == 0


async def test_should_be_restarted_with_a_grpc_liveness_probe(bench: Bench) -> None:
    probe = {"grpc": {"port": 5000, "service": "down"}, "periodSeconds": 1, "failureThreshold": 1}
    await bench.create("p", python(HEALTH, livenessProbe={**probe, "initialDelaySeconds": 2}))
    await restarts(bench)
    message = await bench.event("p", "Unhealthy", "NOT_SERVING")
    assert message == 'Liveness probe failed: service unhealthy (responded with "NOT_SERVING")'


async def test_http_headers_host_and_query(bench: Bench) -> None:
    headers = [{"name": "X-Ask", "value": "please"}, {"name": "Host", "value": "shop.example"}]
    action = {"path": "/a?b=c", "port": 8000, "httpHeaders": headers}
    await bench.create("p", python(ECHO_HEADERS, readinessProbe={"httpGet": action, "periodSeconds": 1}))
    await bench.ready("p")


async def test_should_be_restarted_with_an_exec_liveness_probe_with_timeout(bench: Bench) -> None:
    probe = {"exec": {"command": ["sh", "-c", "sleep 20"]}, "timeoutSeconds": 1, "periodSeconds": 1}
    await bench.create("p", shell("sleep 100", livenessProbe={**probe, "failureThreshold": 1}))
    await restarts(bench)
    assert 'command timed out: "sh -c sleep 20" timed out after 1s' in await bench.event("p", "Unhealthy")


async def test_should_override_timeout_grace_period_when_liveness_probe_field_is_set(bench: Bench) -> None:
    code = "import signal,time\nsignal.signal(15, signal.SIG_IGN)\nwhile True: time.sleep(60)"
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    probe |= {"terminationGracePeriodSeconds": 1, "initialDelaySeconds": 1}
    await bench.create("p", python(code, livenessProbe=probe), terminationGracePeriodSeconds=300)
    await restarts(bench)


async def test_startup_probe_holds_the_others_back(bench: Bench) -> None:
    startup = {"exec": {"command": ["sh", "-c", "test -e up"]}, "periodSeconds": 1, "failureThreshold": 30}
    always = {"exec": {"command": ["sh", "-c", "test -e up"]}, "periodSeconds": 1, "failureThreshold": 1}
    await bench.create("p", shell("sleep 2; echo > up; sleep 100", startupProbe=startup, livenessProbe=always))
    await bench.ready("p")
    status = await bench.status("p")
    assert (status["restartCount"], status["started"]) == (0, True)


@pytest.mark.parametrize("kind", ["exec", "httpGet"])
async def test_lifecycle_hook_failures(bench: Bench, kind: str) -> None:
    hook = {"exec": {"command": ["sh", "-c", "exit 3"]}} if kind == "exec" else {"httpGet": {"port": 9, "path": "/"}}
    await bench.create("p", shell("sleep 100", lifecycle={"postStart": hook}))
    assert await bench.event("p", "FailedPostStartHook") == "PostStartHook failed"


async def test_pre_stop_sleep_and_failed_pre_stop(bench: Bench) -> None:
    stop = {"exec": {"command": ["sh", "-c", "exit 1"]}}
    await bench.create("p", shell("sleep 100", lifecycle={"preStop": stop, "postStart": {"sleep": {"seconds": 1}}}))
    await bench.ready("p")
    await bench.delete("p")
    assert await bench.event("p", "FailedPreStopHook") == "PreStopHook failed"
    await bench.gone("p")
