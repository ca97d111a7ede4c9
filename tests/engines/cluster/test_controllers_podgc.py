"""Pods that nobody else would remove, at a virtual clock: of nodes that are not, of nodes out of service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import Lab, run_lab
from engines.cluster.objects import pod
from engines.cluster.test_conformance_taints import eventually
from engines.cluster.test_controllers_job import PATIENT
from kubelab.clock import VirtualClock
from kubelab.cluster.controllers.podgc import OUT_OF_SERVICE, PERIOD, QUARANTINE
from kubelab.cluster.pods import condition, is_ready
from kubelab.cluster.resources import NODES, PODS
from kubelab.home import Home


@pytest.fixture
async def lab(home: Home) -> AsyncIterator[Lab]:
    async with run_lab(
        home, {**PATIENT, "podGCController": {"terminatedPodGCThreshold": 2}}, VirtualClock()
    ) as running:
        yield running


async def names(lab: Lab) -> set[str]:
    return {p["metadata"]["name"] for p in await lab.pods()}


async def test_a_pod_that_names_a_node_that_is_not_is_removed_after_the_quarantine(lab: Lab):
    await lab.client.create(PODS, pod("lost", nodeName="nowhere"))
    held = {"metadata": {"finalizers": ["example.com/e2e-test"]}}
    await lab.client.patch(PODS, "lost", held, "default")
    await lab.clock.advance(QUARANTINE - 1)
    assert condition(await lab.client.get(PODS, "lost", "default"), "DisruptionTarget") is None
    await lab.clock.advance(2 * PERIOD)

    async def removed() -> Any:
        found = await lab.client.get(PODS, "lost", "default")
        return found if found["metadata"].get("deletionTimestamp") else None

    found = await eventually(lab, removed, "the pod deleted")
    assert found["status"]["phase"] == "Failed"
    target = condition(found, "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "DeletionByPodGC")
    assert target["message"] == "PodGC: node no longer exists"


async def test_what_leaves_a_node_that_is_out_of_service_is_gone_at_once(lab: Lab):
    await lab.client.create(PODS, pod("leaving", nodeName="node-1"))

    async def runs() -> bool:
        return is_ready(await lab.client.get(PODS, "leaving", "default"))

    await eventually(lab, runs, "the pod")
    lab.kubelet.silent.add("node-1")
    await lab.client.delete(PODS, "leaving", "default")
    taint = {"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}
    await lab.client.patch(NODES, "node-1", {"spec": {"taints": [taint]}}, type="merge")
    await lab.clock.advance(2 * PERIOD)
    assert await names(lab) == {"leaving"}, "a node that says it is ready is in service"
    silent = [{"type": "Ready", "status": "Unknown"}]
    await lab.client.patch(NODES, "node-1", {"status": {"conditions": silent}}, subresource="status")

    async def gone() -> bool:
        await lab.clock.advance(PERIOD)
        return not await names(lab)

    await eventually(lab, gone, "the pod gone")


async def test_of_finished_pods_the_oldest_go_beyond_the_threshold(lab: Lab):
    lab.kubelet.silent.add("node-1")
    for index in range(4):
        await lab.client.create(PODS, pod(f"done-{index}", nodeName="node-1"))
        status = {"status": {"phase": "Succeeded"}}
        await lab.client.patch(PODS, f"done-{index}", status, "default", subresource="status")
        await lab.clock.advance(1)

    async def two_left() -> bool:
        await lab.clock.advance(PERIOD)
        return await names(lab) == {"done-2", "done-3"}

    await eventually(lab, two_left, "the newest two left")
