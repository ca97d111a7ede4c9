"""Upstream's test/e2e/node/taints.go, in its flows, at a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster import lab as labs
from engines.cluster.lab import Lab, run_lab
from engines.cluster.objects import pod
from engines.cluster.test_controllers_job import PATIENT
from kubelab.clock import VirtualClock
from kubelab.cluster.pods import is_ready
from kubelab.cluster.resources import EVENTS, NODES, PODS
from kubelab.home import Home

TAINT = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}
MARKED, CANCELLED = "Marking for deletion Pod default/{}", "Cancelling deletion of Pod default/{}"


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(home, PATIENT, VirtualClock()) as running:
        yield running


async def start(lab: Lab, name: str, seconds: int | None = None, *, tolerates: bool = True) -> None:
    """A pod on node-1 that tolerates the taint, for so many seconds where they are given."""
    toleration = {"key": TAINT["key"], "operator": "Equal", "value": TAINT["value"], "effect": "NoExecute"}
    if seconds is not None:
        toleration["tolerationSeconds"] = seconds
    tolerations = [toleration] if tolerates else []
    await lab.client.create(PODS, pod(name, nodeName="node-1", tolerations=tolerations))

    async def runs() -> bool:
        return is_ready(await lab.client.get(PODS, name, "default"))

    await eventually(lab, runs, f"{name} runs")


async def eventually(lab: Lab, check: Any, what: str) -> Any:
    async def ask() -> Any:
        await lab.clock.advance(0.01)
        return await check()

    return await labs.eventually(ask, what)


async def taint(lab: Lab, *taints: dict[str, str]) -> None:
    await lab.client.patch(NODES, "node-1", {"spec": {"taints": list(taints) or None}}, type="merge")


async def until_left(lab: Lab, *names: str) -> None:
    async def left() -> bool:
        return {p["metadata"]["name"] for p in await lab.pods()} == set(names)

    await eventually(lab, left, f"only {names} left")


async def told(lab: Lab, name: str) -> list[str]:
    selector = f"reason=TaintManagerEviction,involvedObject.name={name}"
    return [event["message"] for event in (await lab.client.list(EVENTS, field_selector=selector))["items"]]


async def until_told(lab: Lab, name: str, message: str) -> None:
    async def there() -> bool:
        return message.format(name) in await told(lab, name)

    await eventually(lab, there, message.format(name))


async def test_evicts_pods_from_tainted_nodes(lab: Lab):
    await start(lab, "taint-eviction-1", tolerates=False)
    await taint(lab, TAINT)
    await until_left(lab)
    await until_told(lab, "taint-eviction-1", MARKED)


async def test_does_not_evict_pod_with_tolerations_from_tainted_nodes(lab: Lab):
    await start(lab, "taint-eviction-2")
    await start(lab, "witness", tolerates=False)
    await taint(lab, TAINT)
    await until_left(lab, "taint-eviction-2")
    await lab.clock.advance(600)
    await until_left(lab, "taint-eviction-2")


async def test_eventually_evict_pod_with_finite_tolerations_from_tainted_nodes(lab: Lab):
    await start(lab, "taint-eviction-3", 60)
    await start(lab, "witness", tolerates=False)
    await taint(lab, TAINT)
    await until_left(lab, "taint-eviction-3")
    await lab.clock.advance(58)
    await until_left(lab, "taint-eviction-3")
    await lab.clock.advance(2)
    await until_left(lab)


async def test_removing_taint_cancels_eviction(lab: Lab):
    await start(lab, "taint-eviction-4", 60)
    await start(lab, "witness", tolerates=False)
    await taint(lab, TAINT)
    await until_left(lab, "taint-eviction-4")
    await lab.clock.advance(30)
    await taint(lab)
    await until_told(lab, "taint-eviction-4", CANCELLED)
    await lab.clock.advance(120)
    await until_left(lab, "taint-eviction-4")
    assert await told(lab, "taint-eviction-4") == [CANCELLED.format("taint-eviction-4")]


async def test_pods_evicted_from_tainted_nodes_have_pod_disruption_condition(lab: Lab):
    await start(lab, "taint-eviction-pod-disruption", tolerates=False)
    metadata = {"finalizers": ["example.com/e2e-test"]}
    await lab.client.patch(PODS, "taint-eviction-pod-disruption", {"metadata": metadata}, "default")
    await taint(lab, TAINT)

    async def marked() -> Any:
        found = await lab.client.get(PODS, "taint-eviction-pod-disruption", "default")
        conditions = {c["type"]: c for c in found["status"]["conditions"]}
        return conditions.get("DisruptionTarget") if found["metadata"].get("deletionTimestamp") else None

    condition = await eventually(lab, marked, "the pod marked and on its way")
    assert (condition["status"], condition["reason"]) == ("True", "DeletionByTaintManager")
    assert condition["message"] == "Taint manager: deleting due to NoExecute taint"


async def test_only_evicts_pods_without_tolerations_from_tainted_nodes(lab: Lab):
    await start(lab, "taint-eviction-a1", tolerates=False)
    await start(lab, "taint-eviction-a2")
    await taint(lab, TAINT)
    await until_left(lab, "taint-eviction-a2")


async def test_evicts_pods_with_min_toleration_seconds(lab: Lab):
    await start(lab, "taint-eviction-b1", 5)
    await start(lab, "taint-eviction-b2", 60)
    await start(lab, "witness", tolerates=False)
    await taint(lab, TAINT)
    await until_left(lab, "taint-eviction-b1", "taint-eviction-b2")
    await lab.clock.advance(6)
    await until_left(lab, "taint-eviction-b2")
    await lab.clock.advance(55)
    await until_left(lab)
