"""Pods that do not fit (upstream: pkg/kubelet/lifecycle/predicate_test.go)."""

from __future__ import annotations

from kubelab.cluster.kubelet import admission
from kubelab.cluster.resources import PODS

from .builders import make_container, make_pod
from .conftest import Node

GIVEN = {"cpu": "2", "memory": "1Gi", "pods": "2"}


def asking(**requests: str) -> dict:
    return make_pod(make_container(resources={"requests": requests}))


def test_a_pod_that_fits() -> None:
    assert admission.overload(asking(cpu="500m", memory="1Gi"), [asking(cpu="1500m")], GIVEN) is None


def test_what_is_out() -> None:
    assert admission.overload(asking(cpu="600m"), [asking(cpu="1500m")], GIVEN) == (
        "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000",
    )
    assert admission.overload(asking(memory="2Gi"), [], GIVEN)[0] == "OutOfmemory"  # type: ignore[index]
    assert admission.overload(make_pod(), [make_pod(), make_pod()], GIVEN) == (
        "OutOfpods",
        "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
    )
    gpu = admission.overload(asking(**{"example.com/gpu": "1"}), [], GIVEN)
    assert gpu is not None and gpu[0] == "OutOfexample.com/gpu"


async def test_a_pod_that_does_not_fit_fails_and_leaves_its_place_to_others(node: Node) -> None:
    await node.create(asking(cpu="100000"))
    assert (node.status["phase"], node.status["reason"]) == ("Failed", "OutOfcpu")
    assert node.messages("OutOfcpu")[0].startswith("Node didn't have enough resource: cpu, ")
    assert node.runtime.sandboxes == {}


async def test_a_pod_that_has_ended_takes_no_place(node: Node) -> None:
    whole = node.node["status"]["allocatable"]["cpu"]
    await node.create({**asking(cpu=whole), "spec": {**asking(cpu=whole)["spec"], "restartPolicy": "Never"}})
    node.runtime.exit("app", 0)
    await node.settle()
    assert node.status["phase"] == "Succeeded"
    other = asking(cpu=whole)
    other["metadata"] |= {"name": "q", "uid": "uid-2"}
    await node.create(other)
    found = node.api.find(PODS, "ns", "q")
    assert found is not None and found["status"]["phase"] == "Running"
