"""Jobs at a virtual clock: what is created, counted, retried, ended and cleaned up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from engines.cluster import lab as labs
from engines.cluster.lab import Lab, run_lab
from engines.cluster.objects import job
from kubelab.clock import VirtualClock
from kubelab.cluster.controllers.job.pods import FINALIZER
from kubelab.cluster.pods import controller_of, is_active, phase
from kubelab.cluster.resources import EVENTS, JOBS, PODS
from kubelab.cluster.times import timestamp
from kubelab.home import Home

PATIENT = {"nodeLifecycleController": {"nodeMonitorGracePeriod": "24h"}}  # hollow nodes send no heartbeats
STEP = 0.05  # seconds of the virtual clock for each look


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home, PATIENT, VirtualClock()) as running:
        yield running


async def eventually(lab: Lab, check: Callable[[], Awaitable[Any]], what: str) -> Any:
    """As the lab's, with the virtual clock going on: a second for twenty looks."""

    async def ask() -> Any:
        await lab.clock.advance(STEP)
        return await check()

    return await labs.eventually(ask, what)


async def create(lab: Lab, **spec: Any) -> dict[str, Any]:
    return await lab.client.create(JOBS, job("work", **spec))


async def until(lab: Lab, kind: str = "", **counts: Any) -> dict[str, Any]:
    """Wait until the job has a true condition of this kind and these counts; gives its status."""

    async def there() -> dict[str, Any] | None:
        status = (await lab.client.get(JOBS, "work", "default")).get("status", {})
        true = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
        same = all(status.get(name, 0) == count for name, count in counts.items())
        return status if same and (not kind or kind in true) else None

    return await eventually(lab, there, f"{kind} {counts}")


async def running(lab: Lab, count: int) -> list[dict[str, Any]]:
    """Wait until so many pods run, by name."""
    found: list[dict[str, Any]] = []

    async def run() -> bool:
        found[:] = [pod for pod in await lab.pods() if is_active(pod) and phase(pod) == "Running"]
        return len(found) == count

    await eventually(lab, run, f"{count} running pods")
    return sorted(found, key=lambda pod: pod["metadata"]["name"])


async def end(lab: Lab, pod: dict[str, Any], how: str = "Succeeded") -> None:
    """The pod's container ends now."""
    state = {"terminated": {"exitCode": int(how == "Failed"), "finishedAt": timestamp(lab.clock.now())}}
    container = {"name": "c", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    await lab.kubelet.set_ready(pod, False, phase=how, containerStatuses=[container])


async def events(lab: Lab, reason: str) -> list[str]:
    found = await lab.client.list(EVENTS, "default", field_selector=f"involvedObject.name=work,reason={reason}")
    return [event["message"] for event in found["items"]]


async def test_one_pod_to_its_end(lab: Lab):
    made = await create(lab)
    (pod,) = await running(lab, 1)
    assert pod["metadata"]["finalizers"] == [FINALIZER]
    assert controller_of(pod)["uid"] == made["metadata"]["uid"]
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "work"
    await until(lab, active=1, ready=1)
    await end(lab, pod)
    status = await until(lab, "Complete")
    assert [(c["type"], c["reason"], c["message"]) for c in status["conditions"]] == [
        (kind, "CompletionsReached", "Reached expected number of succeeded pods")
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    counts = {name: value for name, value in status.items() if name not in ("conditions", "startTime")}
    completed = counts.pop("completionTime")
    assert counts == {"succeeded": 1, "ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    assert status["startTime"] < completed
    (pod,) = await lab.pods()
    assert "finalizers" not in pod["metadata"]
    assert await events(lab, "Completed") == ["Job completed"]


async def test_no_more_pods_than_there_is_work(lab: Lab):
    await create(lab, completions=3, parallelism=2)
    first, second = await running(lab, 2)
    await end(lab, first)
    await until(lab, succeeded=1, active=2)
    await end(lab, second)
    await until(lab, succeeded=2, active=1)
    (last,) = await running(lab, 1)
    await end(lab, last)
    await until(lab, "Complete", succeeded=3)
    assert len(await lab.pods()) == 3


async def test_without_completions_the_first_success_ends_it(lab: Lab):
    await create(lab, parallelism=2)
    first, second = await running(lab, 2)
    await end(lab, first)
    await until(lab, succeeded=1, active=1)
    await end(lab, second)
    await until(lab, "Complete", succeeded=2)
    assert len(await lab.pods()) == 2


async def test_a_failed_pod_is_replaced_after_ten_seconds_then_twenty(lab: Lab):
    await create(lab, backoffLimit=2)
    waits = []
    for _ in range(2):
        (pod,) = await running(lab, 1)
        failed = lab.clock.monotonic()
        await end(lab, pod, "Failed")
        await running(lab, 0)
        await running(lab, 1)
        waits.append(lab.clock.monotonic() - failed)
    assert 9 <= waits[0] <= 13
    assert 19 <= waits[1] <= 23
    (pod,) = await running(lab, 1)
    await end(lab, pod, "Failed")
    status = await until(lab, "Failed", failed=3)
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert "completionTime" not in status
    assert await events(lab, "BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


async def test_what_still_runs_when_the_job_fails_is_deleted_and_counted(lab: Lab):
    await create(lab, completions=2, parallelism=2, backoffLimit=0)
    first, _ = await running(lab, 2)
    await end(lab, first, "Failed")
    await until(lab, "Failed", failed=2, active=0, terminating=0)
    (left,) = await lab.pods()
    assert left["metadata"]["uid"] == first["metadata"]["uid"]


async def test_restarts_count_where_pods_are_restarted(lab: Lab):
    made = job("work", backoffLimit=2)
    made["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    await lab.client.create(JOBS, made)
    (pod,) = await running(lab, 1)
    container = {"name": "c", "image": "x", "imageID": "", "ready": True, "restartCount": 2, "state": {}}
    await lab.kubelet.set_ready(pod, True, containerStatuses=[container])
    await until(lab, "Failed", failed=1)
    assert await lab.pods() == []


async def test_each_index_is_done_once(lab: Lab):
    await create(lab, completions=3, parallelism=3, completionMode="Indexed")
    pods = await running(lab, 3)
    for index, pod in enumerate(pods):
        mark = {"batch.kubernetes.io/job-completion-index": str(index)}
        assert pod["metadata"]["annotations"] == mark
        assert mark.items() <= pod["metadata"]["labels"].items()
        assert pod["spec"]["hostname"] == f"work-{index}"
        assert pod["metadata"]["generateName"] == f"work-{index}-"
        (variable,) = pod["spec"]["containers"][0]["env"]
        field = "metadata.labels['batch.kubernetes.io/job-completion-index']"
        assert (variable["name"], variable["valueFrom"]["fieldRef"]["fieldPath"]) == ("JOB_COMPLETION_INDEX", field)
    await end(lab, pods[0])
    await end(lab, pods[2])
    await until(lab, succeeded=2, completedIndexes="0,2")
    await end(lab, pods[1], "Failed")
    await until(lab, failed=1)
    (again,) = await running(lab, 1)
    assert again["spec"]["hostname"] == "work-1"
    await end(lab, again)
    await until(lab, "Complete", completedIndexes="0-2", succeeded=3, failed=1)


async def test_the_deadline_counts_from_the_start(lab: Lab):
    await create(lab, activeDeadlineSeconds=5)
    await running(lab, 1)
    await until(lab, "Failed", failed=1)
    assert 5 <= lab.clock.monotonic() < 9
    assert await events(lab, "DeadlineExceeded") == ["Job was active longer than specified deadline"]
    assert await lab.pods() == []


async def test_suspending_deletes_the_pods_and_resuming_makes_new_ones(lab: Lab):
    await create(lab)
    (pod,) = await running(lab, 1)
    started = (await until(lab, active=1))["startTime"]
    await lab.client.patch(JOBS, "work", {"spec": {"suspend": True}}, "default")
    await until(lab, "Suspended", active=0, failed=0)
    await running(lab, 0)
    await lab.clock.advance(2)
    await lab.client.patch(JOBS, "work", {"spec": {"suspend": False}}, "default")
    (again,) = await running(lab, 1)
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]
    status = await until(lab, active=1)
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("Suspended", "False", "JobResumed")
    ]
    assert status["startTime"] > started
    assert (await events(lab, "Suspended"), await events(lab, "Resumed")) == (["Job suspended"], ["Job resumed"])


async def test_a_deleted_pod_counts_as_failed_and_is_replaced(lab: Lab):
    await create(lab)
    (pod,) = await running(lab, 1)
    await lab.client.delete(PODS, pod["metadata"]["name"], "default")
    await until(lab, failed=1)
    (again,) = await running(lab, 1)
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]


async def test_a_finished_job_goes_when_its_time_is_over(lab: Lab):
    await create(lab, ttlSecondsAfterFinished=3)
    (pod,) = await running(lab, 1)
    await end(lab, pod)
    await until(lab, "Complete")
    finished = lab.clock.monotonic()

    async def gone() -> bool:
        return not (await lab.client.list(JOBS, "default"))["items"] and not await lab.pods()

    await eventually(lab, gone, "job and pod gone")
    assert lab.clock.monotonic() - finished > 2


@pytest.mark.parametrize("policy", ["Background", "Foreground"])
async def test_pods_go_with_their_job(lab: Lab, policy: str):
    await create(lab, completions=2, parallelism=2)
    first, _ = await running(lab, 2)
    await end(lab, first)
    await lab.client.delete(JOBS, "work", "default", propagation_policy=policy)

    async def gone() -> bool:
        return not (await lab.client.list(JOBS, "default"))["items"] and not await lab.pods()

    await eventually(lab, gone, "no finalizer keeps a pod")


async def test_deleting_without_a_policy_leaves_the_pods(lab: Lab):
    await create(lab)
    (pod,) = await running(lab, 1)
    await lab.client.delete(JOBS, "work", "default")

    async def free() -> bool:
        (left,) = await lab.pods()
        return controller_of(left) is None and "finalizers" not in left["metadata"]

    await eventually(lab, free, "the pod on its own")
    assert (await lab.pods())[0]["metadata"]["uid"] == pod["metadata"]["uid"]


async def test_a_job_of_another_manager_is_left_alone(lab: Lab):
    await lab.client.create(JOBS, job("other", managedBy="example.com/queue"))
    await create(lab)
    await running(lab, 1)
    assert (await lab.client.get(JOBS, "other", "default"))["status"] == {}
