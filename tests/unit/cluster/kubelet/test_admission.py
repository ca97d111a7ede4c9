"""Pods that do not fit (upstream: pkg/kubelet/lifecycle/predicate_test.go)."""

from __future__ import annotations

from kubelab.cluster.kubelet import admission
from kubelab.cluster.resources import NODES, PODS

from .builders import make_container, make_pod
from .conftest import Node

GIVEN = {
    "metadata": {"name": "node-1", "labels": {"disk": "ssd"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2", "example.com/gpu": "1"}},
}
WAS_REJECTED = "Pod was rejected: "


def asking(**requests: str) -> dict:
    return make_pod(make_container(resources={"requests": requests}))


def test_a_pod_that_fits() -> None:
    assert admission.misfit(asking(cpu="500m", memory="1Gi"), [asking(cpu="1500m")], GIVEN) is None


def test_what_is_out() -> None:
    assert admission.misfit(asking(cpu="600m"), [asking(cpu="1500m")], GIVEN) == (
        "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000",
    )
    assert admission.misfit(asking(memory="2Gi"), [], GIVEN)[0] == "OutOfmemory"  # type: ignore[index]
    assert admission.misfit(make_pod(), [make_pod(), make_pod()], GIVEN) == (
        "OutOfpods",
        "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 2, capacity: 2",
    )
    gpus = admission.misfit(asking(**{"example.com/gpu": "2"}), [], GIVEN)
    assert gpus is not None and gpus[0] == "OutOfexample.com/gpu"
    assert admission.misfit(asking(**{"example.com/tpu": "1"}), [], GIVEN) is None  # the node knows nothing of it


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


def test_a_node_that_the_pod_does_not_want() -> None:
    pod = make_pod()
    pod["spec"]["nodeSelector"] = {"disk": "hdd"}
    why = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert admission.misfit(pod, [], GIVEN) == ("NodeAffinity", WAS_REJECTED + why)
    pod["spec"]["nodeSelector"] = {"disk": "ssd"}
    assert admission.misfit(pod, [], GIVEN) is None


def test_a_port_of_the_node_that_another_has() -> None:
    def publishing(**port: object) -> dict:
        return make_pod(make_container(ports=[{"containerPort": 80, "hostPort": 8080, **port}]))

    why = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert admission.misfit(publishing(), [publishing()], GIVEN) == ("NodePorts", WAS_REJECTED + why)
    assert admission.misfit(publishing(protocol="UDP"), [publishing()], GIVEN) is None


def test_only_noexecute_counts_once_a_pod_has_its_node() -> None:
    def tainted(effect: str) -> dict:
        return {**GIVEN, "spec": {"taints": [{"key": "a", "effect": effect}]}}

    why = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert admission.misfit(make_pod(), [], tainted("NoExecute")) == ("TaintToleration", WAS_REJECTED + why)
    assert admission.misfit(make_pod(), [], tainted("NoSchedule")) is None


def test_what_no_node_runs() -> None:
    pod = make_pod()
    pod["spec"]["os"] = {"name": "windows"}
    assert admission.reject(pod) == (
        "PodOSNotSupported",
        "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS",
    )
    pod["spec"]["os"] = {"name": "linux"}
    assert admission.reject(pod) is None
    pod["spec"]["securityContext"] = {"supplementalGroupsPolicy": "Strict"}
    assert admission.reject(pod) == (
        "SupplementalGroupsPolicyNotSupported",
        "Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node",
    )


async def test_a_label_that_the_node_got_just_now_counts(node: Node) -> None:
    labelled = node.api.find(NODES, "", "node-1")
    assert labelled is not None
    labelled["metadata"]["labels"]["disk"] = "ssd"
    pod = make_pod()
    pod["spec"]["nodeSelector"] = {"disk": "ssd"}
    await node.create(pod)
    assert node.status["phase"] == "Running"


async def test_the_status_of_a_rejected_pod_is_short_and_outlives_the_agent(node: Node) -> None:
    pod = make_pod()
    pod["spec"]["nodeSelector"] = {"disk": "hdd"}
    await node.create(pod)
    told = node.status
    assert {"phase", "reason", "message", "startTime"} <= set(told) <= {*told, "qosClass", "conditions"}
    assert (told["reason"], told.get("conditions") or []) == ("NodeAffinity", [])
    assert "containerStatuses" not in told
    await node.stop()
    await node.start()
    assert node.status == told
    assert len(node.messages("NodeAffinity")) == 1
