"""Jobs that judge their failures and successes: test/e2e/apps/job.go's flows for backoffLimitPerIndex,
podFailurePolicy and successPolicy, at a virtual clock.
"""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab
from engines.cluster.test_controllers_job import create, end, events, eventually, lab, running, until
from kubelab.cluster.controllers.job.index_failures import FAILURES, IGNORED
from kubelab.cluster.controllers.job.pods import completion_index, has_finalizer
from kubelab.cluster.pods import is_active
from kubelab.cluster.resources import JOBS, PODS

__all__ = ["lab"]


async def end_index(lab: Lab, index: int, how: str = "Succeeded", *, wait_for: int = 0) -> dict[str, Any]:
    """End the pod of an index that runs; `wait_for` is how often the index has failed before."""
    found: list[dict[str, Any]] = []

    async def there() -> bool:
        found[:] = [p for p in await lab.pods() if is_active(p) and completion_index(p) == index]
        attempt = found[0]["metadata"]["annotations"].get(FAILURES, "0") if found else ""
        return attempt == str(wait_for) and found[0]["status"]["phase"] == "Running"

    await eventually(lab, there, f"a pod of index {index} after {wait_for} failures")
    await end(lab, found[0], how)
    return found[0]


async def status(lab: Lab) -> dict[str, Any]:
    return (await lab.client.get(JOBS, "work", "default"))["status"]


def reasons(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(c["type"], c["reason"], c["message"]) for c in found["conditions"]]


async def test_should_execute_all_indexes_despite_some_failing_when_using_backoff_limit_per_index(lab: Lab):
    await create(lab, completionMode="Indexed", completions=3, parallelism=3, backoffLimitPerIndex=1)
    await running(lab, 3)
    first = await end_index(lab, 1, "Failed")
    assert first["metadata"]["annotations"][FAILURES] == "0"

    async def noted() -> bool:
        return first["metadata"]["uid"] in (await status(lab))["uncountedTerminatedPods"].get("failed", [])

    await eventually(lab, noted, "the failure noted")
    kept = await lab.client.get(PODS, first["metadata"]["name"], "default")
    assert has_finalizer(kept), "it stays until its successor carries the count on"
    await lab.clock.advance(11)
    await end_index(lab, 1, "Failed", wait_for=1)
    for index in (0, 2):
        await end_index(lab, index)
    found = await until(lab, "Failed", failed=2, succeeded=2)
    assert (found["completedIndexes"], found["failedIndexes"]) == ("0,2", "1")
    assert reasons(found) == [
        ("FailureTarget", "FailedIndexes", "Job has failed indexes"),
        ("Failed", "FailedIndexes", "Job has failed indexes"),
    ]
    assert not any(has_finalizer(p) for p in await lab.pods())


async def test_should_terminate_job_execution_when_the_number_of_failed_indexes_exceeds_max_failed_indexes(lab: Lab):
    spec = {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1}
    await create(lab, completionMode="Indexed", completions=4, parallelism=4, **spec)
    await running(lab, 4)
    await end_index(lab, 0, "Failed")
    await until(lab, failedIndexes="0")
    await end_index(lab, 1, "Failed")
    found = await until(lab, "Failed", failedIndexes="0,1", failed=4)
    assert reasons(found)[1][1:] == (
        "MaxFailedIndexesExceeded",
        "Job has exceeded the specified maximal number of failed indexes",
    )


async def test_should_mark_indexes_as_failed_when_the_fail_index_action_is_matched(lab: Lab):
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}
    spec = {"backoffLimitPerIndex": 3, "podFailurePolicy": {"rules": [rule]}}
    await create(lab, completionMode="Indexed", completions=2, parallelism=2, **spec)
    await running(lab, 2)
    await end_index(lab, 0, "Failed")
    await end_index(lab, 1)
    found = await until(lab, "Failed", failed=1, succeeded=1)
    assert (found["failedIndexes"], found["completedIndexes"]) == ("0", "1")


async def test_should_use_a_pod_failure_policy_to_not_count_some_failures_towards_the_backoff_limit(lab: Lab):
    rule = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    await create(lab, backoffLimit=0, podFailurePolicy={"rules": [rule]})
    (pod,) = await running(lab, 1)
    target = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    metadata = pod["metadata"]
    await lab.client.patch(
        PODS, metadata["name"], {"status": {"conditions": [target]}}, metadata["namespace"], subresource="status"
    )
    await end(lab, pod, "Failed")
    await lab.clock.advance(11)
    (second,) = await running(lab, 1)
    assert second["metadata"]["uid"] != metadata["uid"]
    assert (await status(lab)).get("failed", 0) == 0
    await end(lab, second)
    await until(lab, "Complete", succeeded=1, failed=0)


async def test_an_ignored_failure_of_an_index_is_noted_apart(lab: Lab):
    rule = {"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [2]}}
    spec = {"backoffLimitPerIndex": 0, "podFailurePolicy": {"rules": [rule]}}
    await create(lab, completionMode="Indexed", completions=1, parallelism=1, **spec)
    await running(lab, 1)
    await end_index(lab, 0, "Failed")
    await lab.clock.advance(11)
    (second,) = await running(lab, 1)
    assert second["metadata"]["annotations"][FAILURES] == "0"
    assert second["metadata"]["annotations"][IGNORED] == "1"


async def test_should_use_a_pod_failure_policy_to_fail_the_job_at_once(lab: Lab):
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [1, 42]}}
    await create(lab, completions=2, parallelism=2, podFailurePolicy={"rules": [rule]})
    first, _ = await running(lab, 2)
    await end(lab, first, "Failed")
    found = await until(lab, "Failed")
    name = first["metadata"]["name"]
    message = f"Container c for pod default/{name} failed with exit code 1 matching FailJob rule at index 0"
    assert reasons(found) == [
        ("FailureTarget", "PodFailurePolicy", message),
        ("Failed", "PodFailurePolicy", message),
    ]

    async def told() -> bool:
        return await events(lab, "PodFailurePolicy") == [message]

    await eventually(lab, told, "the event")


async def test_with_success_policy_should_succeed_when_the_indexes_of_a_rule_have_succeeded(lab: Lab):
    policy = {"rules": [{"succeededIndexes": "3-4"}, {"succeededIndexes": "0-2", "succeededCount": 2}]}
    await create(lab, completionMode="Indexed", completions=5, parallelism=5, successPolicy=policy)
    await running(lab, 5)
    await end_index(lab, 0)
    await until(lab, succeeded=1)
    await end_index(lab, 2)
    found = await until(lab, "Complete", succeeded=2)
    assert reasons(found) == [
        ("SuccessCriteriaMet", "SuccessPolicy", "Matched rules at index 1"),
        ("Complete", "SuccessPolicy", "Matched rules at index 1"),
    ]
    assert found["completedIndexes"] == "0,2"
    assert found.get("failed", 0) == 0, "the pods that were stopped did not fail"
