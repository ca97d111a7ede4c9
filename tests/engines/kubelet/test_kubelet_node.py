"""The node as it shows itself, and whom it takes (upstream: test/e2e_node/critical_pod_test.go)."""

from __future__ import annotations

from kubelab.cluster.resources import NODES

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
