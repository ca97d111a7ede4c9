"""A node goes quiet: it is declared unknown, tainted, and its pods are replaced; it comes back and is trusted again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import Lab, eventually, run_lab
from engines.cluster.objects import pod, replica_set
from kubelab.cluster.pods import condition, is_active, is_ready, is_terminating
from kubelab.cluster.resources import EVENTS, NODES, PODS, REPLICASETS
from kubelab.home import Home

SETTINGS = {"nodeLifecycleController": {"nodeMonitorPeriod": "50ms", "nodeMonitorGracePeriod": "500ms"}}
PATIENT = [
    {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
    for key in ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
]


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    """Node monitoring a hundred times as impatient as upstream's, and nodes that send heartbeats until silenced."""
    async with run_lab(home, SETTINGS) as running:
        beating = asyncio.create_task(beat(running))
        yield running
        beating.cancel()


async def beat(lab: Lab) -> None:
    while True:
        for name in lab.kubelet.names - lab.kubelet.silent:
            await lab.kubelet.heartbeat(name)
        await asyncio.sleep(0.1)


async def taints(lab: Lab, name: str) -> set[tuple[str, str]]:
    node = await lab.client.get(NODES, name)
    return {(t["key"].removeprefix("node.kubernetes.io/"), t["effect"]) for t in node["spec"].get("taints") or ()}


async def until_tainted(lab: Lab, name: str, *wanted: tuple[str, str]) -> None:
    async def tainted() -> bool:
        return await taints(lab, name) == set(wanted)

    await eventually(tainted, f"{name} tainted {wanted}")


async def until_active(lab: Lab, count: int) -> list[dict[str, Any]]:
    async def active() -> list[dict[str, Any]] | None:
        found = [p for p in await lab.pods() if is_active(p) and is_ready(p)]
        return found if len(found) == count else None

    return await eventually(active, f"{count} active pods")


def patient(name: str, replicas: int) -> dict[str, Any]:
    made = replica_set(name, replicas)
    made["spec"]["template"]["spec"]["tolerations"] = PATIENT
    return made


async def test_a_lost_node_is_declared_unknown_and_its_pods_are_replaced(lab: Lab):
    await lab.client.create(REPLICASETS, patient("web", 4))
    await until_active(lab, 4)
    lab.kubelet.silent.add("node-1")
    await until_tainted(lab, "node-1", ("unreachable", "NoSchedule"), ("unreachable", "NoExecute"))
    ready = condition(await lab.client.get(NODES, "node-1"), "Ready")
    assert ready["status"] == "Unknown"
    assert ready["reason"] == "NodeStatusUnknown"
    assert ready["message"] == "Kubelet stopped posting node status."
    for found in await lab.pods():
        assert is_ready(found) is (found["spec"]["nodeName"] == "node-2")
    moved = await until_active(lab, 4)
    assert {p["spec"]["nodeName"] for p in moved} == {"node-2"}
    left_behind = [p for p in await lab.pods() if is_terminating(p)]
    assert {p["spec"]["nodeName"] for p in left_behind} == {"node-1"}
    for found in left_behind:
        assert condition(found, "DisruptionTarget")["reason"] == "DeletionByTaintManager"
    assert await until_told(lab, "NodeNotReady", "Node node-1 status is now: NodeNotReady")
    assert await until_told(lab, "NodeNotReady", "Node is not ready")
    assert await until_told(lab, "TaintManagerEviction", "Marking for deletion Pod default/web-", prefix=True)


async def until_told(lab: Lab, reason: str, message: str, *, prefix: bool = False) -> bool:
    async def told() -> bool:
        events = (await lab.client.list(EVENTS, field_selector=f"reason={reason}"))["items"]
        return any(e["message"].startswith(message) if prefix else e["message"] == message for e in events)

    return await eventually(told, f"the event {reason}: {message}")


async def test_a_node_that_comes_back_in_time_keeps_its_pods(lab: Lab):
    stays = pod("stays", tolerations=[{**t, "tolerationSeconds": 300} for t in PATIENT], nodeName="node-1")
    await lab.client.create(PODS, stays)
    await until_active(lab, 1)
    lab.kubelet.silent.add("node-1")
    await until_tainted(lab, "node-1", ("unreachable", "NoSchedule"), ("unreachable", "NoExecute"))
    lab.kubelet.silent.clear()
    await lab.client.patch(NODES, "node-1", ready_again(), subresource="status")
    await until_tainted(lab, "node-1")
    assert await until_told(lab, "TaintManagerEviction", "Cancelling deletion of Pod default/stays")
    assert not is_terminating(await lab.client.get(PODS, "stays", "default"))


def ready_again() -> dict[str, Any]:
    known = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    return {"status": {"conditions": [known]}}


async def test_when_every_node_is_silent_nobody_is_evicted(lab: Lab):
    await lab.client.create(REPLICASETS, patient("web", 2))
    await until_active(lab, 2)
    lab.kubelet.silent.update(("node-1", "node-2"))
    for name in ("node-1", "node-2"):
        await until_tainted(lab, name, ("unreachable", "NoSchedule"))
    assert not any(is_terminating(p) for p in await lab.pods())


async def test_a_cordoned_node_is_tainted_and_free_again_after_uncordon(lab: Lab):
    await lab.client.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
    await until_tainted(lab, "node-1", ("unschedulable", "NoSchedule"))
    await lab.client.patch(NODES, "node-1", {"spec": {"unschedulable": None}})
    await until_tainted(lab, "node-1")


async def test_a_taint_with_no_execute_drives_out_who_does_not_tolerate_it(lab: Lab):
    await lab.client.create(PODS, pod("goes", nodeName="node-1"))
    stays = [{"key": "dedicated", "operator": "Equal", "value": "gpu", "effect": "NoExecute"}]
    await lab.client.create(PODS, pod("stays", nodeName="node-1", tolerations=stays))
    await until_active(lab, 2)
    await lab.client.patch(
        NODES, "node-1", {"spec": {"taints": [{"key": "dedicated", "value": "gpu", "effect": "NoExecute"}]}}
    )

    async def driven_out() -> bool:
        return {p["metadata"]["name"] for p in await lab.pods()} == {"stays"}

    await eventually(driven_out, "only the tolerant pod is left")
