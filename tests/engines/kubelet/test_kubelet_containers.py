"""Pods with real processes in them: start, output, exits, limits, termination.

Paths in the programs are relative: at level process a container sees its files below its working directory.
"""

from __future__ import annotations

import asyncio
import time

from engines.cluster.lab import eventually

from .conftest import Bench, python, shell

STUBBORN = "import signal,time\nsignal.signal(15, signal.SIG_IGN)\nprint('up')\nwhile True: time.sleep(60)"
SERVE = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, port=8000)"


async def test_output_and_exit_code(bench: Bench) -> None:
    await bench.create("p", shell("echo hello; exit 3"), restartPolicy="Never")
    pod = await bench.phase("p", "Failed")
    ended = (await bench.status("p"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"], bench.log(pod)) == (3, "Error", "hello\n")


async def test_a_crash_loop(bench: Bench) -> None:
    await bench.create("p", shell("echo last words > dev/termination-log; exit 1"))

    async def waits() -> bool:
        return (await bench.status("p")).get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"

    await eventually(waits, "CrashLoopBackOff", 20)
    told = await bench.status("p")
    assert told["restartCount"] >= 1
    assert told["lastState"]["terminated"]["message"] == "last words\n"
    assert told["state"]["waiting"]["message"].startswith("back-off ")
    await bench.event("p", "BackOff", "Back-off restarting failed container app in pod p_")


async def test_a_memory_limit(bench: Bench) -> None:
    eat = "x = []\nwhile True: x.append(bytearray(10**7))"
    limits = {"limits": {"memory": "64Mi"}}
    await bench.create("p", python(eat, resources=limits), restartPolicy="Never")
    await bench.phase("p", "Failed")
    ended = (await bench.status("p"))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_sigterm_is_heard(bench: Bench) -> None:
    code = "import signal,sys,time\nsignal.signal(15, lambda *_: sys.exit(0))\nprint('up')\nwhile True: time.sleep(60)"
    await bench.create("p", python(code), terminationGracePeriodSeconds=30)
    pod = await bench.ready("p")
    await eventually(lambda: _written(bench, pod, "up\n"), "the handler is there")
    began = time.monotonic()
    await bench.delete("p")
    await bench.gone("p")
    assert time.monotonic() - began < 10


async def _written(bench: Bench, pod: dict, text: str) -> bool:
    return bench.log(pod) == text


async def test_sigkill_after_the_grace_period(bench: Bench) -> None:
    await bench.create("p", python(STUBBORN))
    pod = await bench.ready("p")
    await eventually(lambda: _written(bench, pod, "up\n"), "the handler is there")
    began = time.monotonic()
    await bench.delete("p", grace_period_seconds=2)
    await bench.gone("p")
    assert 1.9 < time.monotonic() - began < 10


async def test_a_program_that_is_not_there(bench: Bench) -> None:
    await bench.create("p", {"name": "app", "image": "kubelab/python", "command": ["/no/such"]}, restartPolicy="Never")
    await bench.phase("p", "Failed")
    assert (await bench.status("p"))["state"]["terminated"]["reason"] in ("StartError", "ContainerCannotRun")
    assert "/no/such" in await bench.event("p", "Failed")


async def test_init_containers_and_a_shared_volume(bench: Bench) -> None:
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    await bench.create(
        "p",
        shell("cat data/greeting", **mount),
        initContainers=[shell("echo from init > data/greeting", "init", **mount)],
        volumes=[{"name": "data", "emptyDir": {}}],
        restartPolicy="Never",
    )
    assert await bench.output("p") == "from init\n"


async def test_a_failed_liveness_probe_restarts_the_container(bench: Bench) -> None:
    probe = {"exec": {"command": ["sh", "-c", "test ! -e dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    await bench.create("p", shell("sleep 1; echo x > dead; sleep 100", livenessProbe=probe))
    await bench.event("p", "Killing", "Container app failed liveness probe, will be restarted")

    async def restarted() -> bool:
        return (await bench.status("p"))["restartCount"] == 1

    await eventually(restarted, "a restart", 20)
    assert "Liveness probe failed: " in await bench.event("p", "Unhealthy")


async def test_an_http_readiness_probe(bench: Bench) -> None:
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    ports = [{"name": "http", "containerPort": 8000}]
    await bench.create("p", python(SERVE, readinessProbe=probe, ports=ports))
    pod = await bench.ready("p")
    assert pod["status"]["podIP"]
    await eventually(lambda: _contains(bench, pod, '"GET / HTTP/1.1" 200'), "the probe's request in the log")


async def _contains(bench: Bench, pod: dict, text: str) -> bool:
    return text in bench.log(pod)


async def test_a_tcp_probe_on_a_closed_port(bench: Bench) -> None:
    probe = {"tcpSocket": {"port": 9}, "periodSeconds": 1}
    await bench.create("p", shell("sleep 100", readinessProbe=probe))
    message = await bench.event("p", "Unhealthy")
    assert message.startswith("Readiness probe failed: dial tcp ") and message.endswith(
        ":9: connect: connection refused"
    )


async def test_the_environment(bench: Bench) -> None:
    env = [
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(WHO)@$(IP)"},
    ]
    code = "import os; print(os.environ['BOTH'], os.environ['HOSTNAME'], os.environ['KUBERNETES_SERVICE_HOST'])"
    await bench.create("p", python(code, env=env), restartPolicy="Never")
    both, hostname, api = (await bench.output("p")).split()
    ip = (await bench.pod("p"))["status"]["podIP"]
    assert (both, hostname) == (f"p@{ip}", "p")
    assert api.count(".") == 3


async def test_many_pods_at_once(bench: Bench) -> None:
    names = [f"p{i}" for i in range(10)]
    await asyncio.gather(*(bench.create(name, shell("sleep 100")) for name in names))
    pods = await asyncio.gather(*(bench.ready(name) for name in names))
    assert len({pod["status"]["podIP"] for pod in pods}) == len(names)
    await asyncio.gather(*(bench.delete(name, grace_period_seconds=0) for name in names))
    await asyncio.gather(*(bench.gone(name) for name in names))
