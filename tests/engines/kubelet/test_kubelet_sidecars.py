"""Restartable init containers and ephemeral ones (upstream: test/e2e_node/container_lifecycle_test.go,
test/e2e/common/node/ephemeral_containers.go)."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from engines.cluster.lab import eventually
from kubelab.cluster.resources import JOBS, PODS
from kubelab.runtime.client import RuntimeClient

from .conftest import Bench, python, shell

STOPPING = "import signal,sys,time\nsignal.signal(15, lambda *_: (print(time.time(), flush=True), sys.exit(0)))\n"
STOPPING += "open('up', 'w').close()\nwhile True: time.sleep(60)"


def sidecar(name: str, **fields: object) -> dict:
    return python(STOPPING, name, restartPolicy="Always", **fields)


async def test_sidecars_start_in_order_and_before_the_containers(bench: Bench) -> None:
    probe = {"exec": {"command": ["sh", "-c", "test -e up || { echo > up; exit 1; }"]}, "periodSeconds": 1}
    await bench.create("p", shell("sleep 100"), initContainers=[sidecar("one", startupProbe=probe), sidecar("two")])
    await bench.ready("p")
    started = [(await bench.status("p", c))["state"]["running"]["startedAt"] for c in ("one", "two", "app")]
    assert started == sorted(started) and started[1] > started[0]  # two waits for one's startup probe
    assert (await bench.status("p", "one"))["ready"]


async def test_sidecars_end_after_the_containers_in_reverse_order(bench: Bench) -> None:
    await bench.create(
        "p",
        python(STOPPING),
        initContainers=[sidecar("one"), sidecar("two")],
        terminationGracePeriodSeconds=20,
    )
    pod = await bench.ready("p")
    await asyncio.sleep(0.5)  # a Python program sets its handler a moment after its start
    held = {"metadata": {"finalizers": ["kubelab.dev/test"]}}
    await bench.client.patch(PODS, "p", held, bench.namespace, type="merge")
    await bench.delete("p")
    await bench.phase("p", "Succeeded")
    ended = [float(bench.log(pod, name)) for name in ("app", "two", "one")]
    await bench.client.patch(PODS, "p", {"metadata": {"finalizers": None}}, bench.namespace, type="merge")
    assert ended == sorted(ended)


async def test_a_job_with_a_sidecar_completes(bench: Bench) -> None:
    template = {
        "spec": {"containers": [shell("sleep 1")], "initContainers": [sidecar("log")], "restartPolicy": "Never"}
    }
    template["spec"]["terminationGracePeriodSeconds"] = 3
    metadata = {"name": "j", "namespace": bench.namespace}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}
    await bench.client.create(JOBS, job)

    async def complete() -> bool:
        status = (await bench.client.get(JOBS, "j", bench.namespace)).get("status", {})
        return status.get("succeeded") == 1

    await eventually(complete, "the job is complete", 30)


async def test_a_sidecar_is_started_again(bench: Bench) -> None:
    await bench.create(
        "p", shell("sleep 100"), initContainers=[shell("sleep 1; exit 1", "log", restartPolicy="Always")]
    )

    async def restarted() -> bool:
        return (await bench.status("p", "log")).get("restartCount", 0) > 0

    await eventually(restarted, "a restart of the sidecar", 30)
    assert (await bench.status("p"))["restartCount"] == 0


async def debug(bench: Bench, **fields: object) -> None:
    container = {**shell("cat proc/1/cmdline; echo; sleep 100", "debugger"), **fields}
    patch = {"spec": {"ephemeralContainers": [container]}}
    await bench.client.patch(PODS, "p", patch, bench.namespace, subresource="ephemeralcontainers")


async def test_will_start_an_ephemeral_container_in_an_existing_pod(bench: Bench) -> None:
    await bench.create("p", shell("sleep 100"))
    pod = await bench.ready("p")
    await debug(bench, targetContainerName="app")

    async def runs() -> dict | None:
        statuses = (await bench.pod("p"))["status"].get("ephemeralContainerStatuses", [])
        return next((s for s in statuses if "running" in s["state"]), None)

    told = await eventually(runs, "the ephemeral container runs", 20)
    assert (told["ready"], told["restartCount"]) == (False, 0)
    assert await bench.event("p", "Started", "debugger") == "Started container debugger"
    after = await bench.pod("p")
    assert after["metadata"]["generation"] == pod["metadata"]["generation"] + 1
    conditions = {c["type"]: c["status"] for c in after["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    if await _isolated(bench):

        async def seen() -> bool:  # the target's first process is PID 1
            return "sleep" in bench.log(pod, "debugger")

        await eventually(seen, "the target's processes", 20)


async def _isolated(bench: Bench) -> bool:
    async with RuntimeClient(bench.home.runtime_socket) as runtime:
        return (await runtime.version())["level"] == "namespaces"


@pytest.mark.requires("kubectl")
async def test_kubectl_debug(bench: Bench) -> None:
    await bench.create("p", shell("sleep 100"))
    await bench.ready("p")
    kubectl = shutil.which("kubectl") or ""
    command = [kubectl, "--kubeconfig", str(bench.home.kubeconfig), "-n", bench.namespace, "debug", "p"]
    command += ["--image", "kubelab/python", "--target", "app", "-c", "look", "-i", "--quiet", "--"]
    command += ["sh", "-c", "read line; echo got $line"]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(b"hello\n"), 60)
    assert b"got hello" in out, (out, err)
