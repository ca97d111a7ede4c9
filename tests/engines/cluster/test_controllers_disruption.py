"""PodDisruptionBudgets: what they count, and whom they keep from being evicted. After test/e2e/apps/disruption.go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engines.cluster.lab import Lab, eventually
from kubelab.cluster.client import APIError
from kubelab.cluster.pods import condition
from kubelab.cluster.resources import DEPLOYMENTS, EVENTS, PODDISRUPTIONBUDGETS, PODS
from kubelab.cluster.times import timestamp

NS = "default"
LABELS = {"app": "web"}
VIOLATED = "Cannot evict pod as it would violate the pod's disruption budget."
Object = dict[str, Any]


async def deploy(lab: Lab, replicas: int, name: str = "web") -> None:
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    await lab.client.create(DEPLOYMENTS, {"metadata": {"name": name}, "spec": spec}, NS)


async def budget(lab: Lab, name: str = "b", **spec: Any) -> None:
    made = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": LABELS}, **spec}}
    await lab.client.create(PODDISRUPTIONBUDGETS, made, NS)


async def counted(lab: Lab, allowed: int, healthy: int, desired: int, expected: int) -> Object:
    """The budget, once it has these figures."""
    wanted = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired}
    wanted["expectedPods"] = expected

    async def check() -> Object | None:
        found = await lab.client.get(PODDISRUPTIONBUDGETS, "b", NS)
        return found if found["status"].items() >= wanted.items() else None

    return await eventually(check, f"the budget counts {wanted}")


async def evict(lab: Lab, name: str, **options: Any) -> Object:
    eviction = {"metadata": {"name": name}, **({"deleteOptions": options} if options else {})}
    return await lab.client.create_subresource(PODS, name, "eviction", eviction, NS)


async def first_pod(lab: Lab) -> str:
    return (await lab.pods())[0]["metadata"]["name"]


@pytest.mark.parametrize(
    ("spec", "allowed", "desired"),
    [
        ({"minAvailable": 2}, 1, 2),
        ({"minAvailable": "50%"}, 1, 2),  # of three: rounded up
        ({"maxUnavailable": 1}, 1, 2),
        ({"maxUnavailable": "34%"}, 2, 1),
        ({"maxUnavailable": 5}, 3, 0),
        ({"minAvailable": "100%"}, 0, 3),
    ],
)
async def test_a_budget_of_a_deployment(lab: Lab, spec: Object, allowed: int, desired: int):
    await deploy(lab, 3)
    await budget(lab, **spec)
    found = await counted(lab, allowed, 3, desired, 3)
    state = condition(found, "DisruptionAllowed")
    assert (state["status"], state["reason"]) == (
        ("True", "SufficientPods") if allowed else ("False", "InsufficientPods")
    )
    assert state["observedGeneration"] == found["status"]["observedGeneration"] == 1


async def test_an_eviction_waits_for_the_budget(lab: Lab):
    await deploy(lab, 2)
    await budget(lab, minAvailable=2)
    await counted(lab, 0, 2, 2, 2)
    name = await first_pod(lab)
    with pytest.raises(APIError) as error:
        await evict(lab, name)
    assert (error.value.code, str(error.value)) == (429, VIOLATED)
    assert error.value.status["details"]["causes"] == [
        {"reason": "DisruptionBudget", "message": "The disruption budget b needs 2 healthy pods and has 2 currently"}
    ]
    await lab.client.patch(PODDISRUPTIONBUDGETS, "b", {"spec": {"minAvailable": 1}}, NS)
    await counted(lab, 1, 2, 1, 2)
    await evict(lab, name, dryRun=["All"])
    await counted(lab, 1, 2, 1, 2)
    await evict(lab, name)

    async def replaced() -> bool:
        pods = await lab.pods()
        return len(pods) == 2 and name not in {pod["metadata"]["name"] for pod in pods}

    await eventually(replaced, "another pod in the place of the evicted one")
    found = await counted(lab, 1, 2, 1, 2)
    assert "disruptedPods" not in found["status"]


async def test_only_one_of_two_gets_the_last_disruption(lab: Lab):
    await deploy(lab, 2)
    await budget(lab, maxUnavailable=1)
    await counted(lab, 1, 2, 1, 2)
    lab.kubelet.ready = False  # who comes in its place stays unready
    first, second = (pod["metadata"]["name"] for pod in await lab.pods())
    await evict(lab, first)
    with pytest.raises(APIError, match="disruption budget"):
        await evict(lab, second)


async def test_an_unready_pod_may_go_where_enough_are_healthy(lab: Lab):
    await deploy(lab, 2)
    await budget(lab, minAvailable=1)
    await counted(lab, 1, 2, 1, 2)
    unready, _ = await lab.pods()
    await lab.kubelet.set_ready(unready, False)
    await counted(lab, 0, 1, 1, 2)
    await evict(lab, unready["metadata"]["name"])


@pytest.mark.parametrize("policy", ["IfHealthyBudget", "AlwaysAllow"])
async def test_an_unready_pod_where_too_few_are_healthy(lab: Lab, policy: str):
    lab.kubelet.ready = False
    await deploy(lab, 1)
    await budget(lab, minAvailable=1, unhealthyPodEvictionPolicy=policy)
    await counted(lab, 0, 0, 1, 1)

    async def running() -> bool:
        return [pod["status"]["phase"] for pod in await lab.pods()] == ["Running"]

    await eventually(running, "the pod running")
    name = await first_pod(lab)
    if policy == "AlwaysAllow":
        await evict(lab, name)
    else:
        with pytest.raises(APIError, match="disruption budget"):
            await evict(lab, name)


async def test_two_budgets_are_too_many(lab: Lab):
    await deploy(lab, 1)
    await budget(lab, minAvailable=0)
    await counted(lab, 1, 1, 0, 1)
    await budget(lab, "c", minAvailable=0)
    with pytest.raises(APIError) as error:
        await evict(lab, await first_pod(lab))
    assert error.value.code == 500
    words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    assert str(error.value) == words


async def test_pods_of_something_without_scale(lab: Lab):
    """A percentage of a job's pods cannot be told: nothing may be evicted, and the condition says why."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    meta = {"name": "p", "labels": LABELS, "ownerReferences": [owner]}
    await budget(lab, maxUnavailable=1)
    await lab.client.create(PODS, {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]}}, NS)

    async def failed() -> Object | None:
        state = condition(await lab.client.get(PODDISRUPTIONBUDGETS, "b", NS), "DisruptionAllowed")
        return state if state and state["reason"] == "SyncFailed" else None

    state = await eventually(failed, "the condition")
    assert state["message"] == "jobs.batch does not implement the scale subresource"

    async def told() -> bool:
        events = (await lab.client.list(EVENTS, NS))["items"]
        return "CalculateExpectedPodCountFailed" in {event["reason"] for event in events}

    await eventually(told, "the event")


async def test_who_was_to_be_disrupted_and_is_still_there_was_not(lab: Lab):
    """After TestStalePodDisruption in test/integration/disruption."""
    await deploy(lab, 3)
    await eventually(lambda: _running(lab, 3), "three pods running")
    names = [pod["metadata"]["name"] for pod in await lab.pods()]
    long_ago, by_kubelet, just_now = names
    for name, minutes, reason in (
        (by_kubelet, 3, "TerminationByKubelet"),
        (just_now, 0, "EvictionByEvictionAPI"),
        (long_ago, 3, "EvictionByEvictionAPI"),
    ):
        since = timestamp(lab.clock.now() - timedelta(minutes=minutes))
        target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": since}
        patch = {"status": {"conditions": [target]}}
        await lab.client.patch(PODS, name, patch, NS, subresource="status")

    async def reset() -> bool:
        found = condition(await lab.client.get(PODS, long_ago, NS), "DisruptionTarget")
        return found["status"] == "False" and "reason" not in found

    await eventually(reset, "the condition reset")
    for name in (by_kubelet, just_now):
        assert condition(await lab.client.get(PODS, name, NS), "DisruptionTarget")["status"] == "True"


async def _running(lab: Lab, count: int) -> bool:
    return [pod["status"]["phase"] for pod in await lab.pods()] == ["Running"] * count
