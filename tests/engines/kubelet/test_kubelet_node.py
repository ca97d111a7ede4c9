"""The node as it shows itself, and whom it takes (upstream: test/e2e_node/critical_pod_test.go)."""

from __future__ import annotations

import glob

from engines.cluster.lab import eventually
from kubelab.cluster.quantity import parse
from kubelab.cluster.resources import EVENTS, NODES

from .conftest import Bench, shell


async def test_a_pod_that_does_not_fit_is_rejected(bench: Bench) -> None:
    asked = {"resources": {"requests": {"cpu": "1000"}}}
    await bench.create("p", shell("true", **asked), nodeName="node-1")
    pod = await bench.phase("p", "Failed")
    words = "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: "
    assert (pod["status"]["reason"], pod["status"]["message"].startswith(words)) == ("OutOfcpu", True)
    assert (await bench.event("p", "OutOfcpu")).startswith("Node didn't have enough resource: cpu, requested: 1000000")


async def test_conditions_of_a_healthy_node(bench: Bench) -> None:
    status = (await bench.client.get(NODES, "node-1"))["status"]
    told = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert told == {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }


async def test_what_a_node_says_when_it_comes(bench: Bench) -> None:
    reasons = {"Starting", "NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"}

    async def told() -> dict[str, str] | None:
        events = (await bench.client.list(EVENTS, "default", field_selector="involvedObject.name=node-1"))["items"]
        found = {e["reason"]: e["message"] for e in events if e["reason"] in reasons}
        return found if set(found) == reasons else None

    found = await eventually(told, "the events of node-1")
    assert found.pop("Starting") == "Starting kubelet."
    assert found == {reason: f"Node node-1 status is now: {reason}" for reason in found}


async def test_capacity_has_every_size_of_huge_pages(bench: Bench) -> None:
    status = (await bench.client.get(NODES, "node-1"))["status"]
    names = glob.glob("hugepages-*kB", root_dir="/sys/kernel/mm/hugepages")  # noqa: PTH207 (names are all we want)
    sizes = {int(name.removeprefix("hugepages-").removesuffix("kB")) for name in names}
    shown = {int(parse(name.removeprefix("hugepages-"))) // 1024 for name in status["capacity"] if "hugepages" in name}
    assert shown == sizes
    assert {"cpu", "memory", "ephemeral-storage", "pods"} <= set(status["allocatable"])
