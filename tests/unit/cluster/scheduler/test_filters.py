"""Where a pod can run, and the reason where it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab.cluster.scheduler.cache import NodeInfo
from kubelab.cluster.scheduler.diagnosis import NO_NODES, fit_error
from kubelab.cluster.scheduler.framework import Rejection
from kubelab.cluster.scheduler.requests import Amount, pod_requests
from unit.cluster.builders import make_node, make_pod
from unit.cluster.scheduler.cycles import node_info, reasons, rejections

GPU = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}


def first_reasons(pod: dict[str, Any], node: NodeInfo) -> tuple[str, ...]:
    return reasons(pod, node).get(node.name, ())


def affinity(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = [{"matchExpressions": [expression]} for expression in expressions]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def with_port(name: str, port: int, host_ip: str = "") -> dict[str, Any]:
    pod = make_pod(name)
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": port, "hostIP": host_ip}]
    return pod


@pytest.mark.parametrize(
    ("pod", "node", "expected"),
    [
        (make_pod(), make_node(), ()),
        (make_pod(), make_node(unschedulable=True), ("node(s) were unschedulable",)),
        (make_pod(tolerations=[{"operator": "Exists"}]), make_node(unschedulable=True), ()),
        (make_pod(), make_node(taints=[GPU]), ("node(s) had untolerated taint {dedicated: gpu}",)),
        (make_pod(tolerations=[{"key": "dedicated", "value": "gpu"}]), make_node(taints=[GPU]), ()),
        (make_pod(), make_node(taints=[{**GPU, "effect": "PreferNoSchedule"}]), ()),
        (make_pod(nodeSelector={"disk": "ssd"}), make_node(labels={"disk": "ssd"}), ()),
        (
            make_pod(nodeSelector={"disk": "ssd"}),
            make_node(),
            ("node(s) didn't match Pod's node affinity/selector",),
        ),
        (
            make_pod(affinity=affinity({"key": "cores", "operator": "Gt", "values": ["4"]})),
            make_node(labels={"cores": "8"}),
            (),
        ),
        (
            make_pod(affinity=affinity({"key": "cores", "operator": "Lt", "values": ["4"]})),
            make_node(labels={"cores": "8"}),
            ("node(s) didn't match Pod's node affinity/selector",),
        ),
        (make_pod(requests={"cpu": "4001m"}), make_node(), ("Insufficient cpu",)),
        (make_pod(requests={"cpu": "5", "memory": "9Gi"}), make_node(), ("Insufficient cpu", "Insufficient memory")),
        (make_pod(), make_node(pods="0"), ("Too many pods",)),
    ],
)
def test_one_pod_and_one_node(pod: dict[str, Any], node: dict[str, Any], expected: tuple[str, ...]):
    assert first_reasons(pod, node_info(node)) == expected


def test_what_others_asked_for_is_taken():
    node = node_info(make_node(), make_pod("a", requests={"cpu": "3"}))
    assert first_reasons(make_pod(requests={"cpu": "1"}), node) == ()
    assert first_reasons(make_pod(requests={"cpu": "1001m"}), node) == ("Insufficient cpu",)
    node.remove("uid-a")
    assert first_reasons(make_pod(requests={"cpu": "4"}), node) == ()


def test_a_pod_without_requests_fits_on_a_full_node():
    node = node_info(make_node(), make_pod("a", requests={"cpu": "4", "memory": "8Gi"}))
    assert first_reasons(make_pod(), node) == ()


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        (with_port("a", 80), True),
        (with_port("a", 81), False),
        (with_port("a", 80, "127.0.0.1"), True),
    ],
)
def test_host_ports(other: dict[str, Any], conflict: bool):
    assert bool(first_reasons(with_port("b", 80), node_info(make_node(), other))) is conflict


def test_host_ports_of_two_addresses_do_not_conflict():
    node = node_info(make_node(), with_port("a", 80, "127.0.0.1"))
    assert first_reasons(with_port("b", 80, "127.0.0.2"), node) == ()


def test_requests_are_the_containers_together_or_the_largest_init_container():
    pod = make_pod(requests={"cpu": "1"})
    pod["spec"]["containers"].append({"name": "d", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}})
    assert pod_requests(pod) == Amount(1500, 2**30)
    pod["spec"]["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    assert pod_requests(pod) == Amount(2000, 2**30)
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}}
    pod["spec"]["initContainers"].insert(0, sidecar)
    assert pod_requests(pod) == Amount(3000, 2**30)


def test_what_the_empty_node_could_not_give_is_not_worth_a_preemption():
    node = node_info(make_node(), make_pod("a", requests={"cpu": "3"}))
    assert rejections(make_pod(requests={"cpu": "2"}), node)["n"].resolvable
    assert not rejections(make_pod(requests={"cpu": "5"}), node)["n"].resolvable


def test_other_resources_are_counted_by_name():
    node = make_node()
    node["status"]["allocatable"] |= {"ephemeral-storage": "1Gi", "example.com/gpu": "1"}
    pod = make_pod(requests={"ephemeral-storage": "2Gi", "example.com/gpu": "1"})
    assert first_reasons(pod, node_info(node)) == ("Insufficient ephemeral-storage",)
    taken = node_info(node, make_pod("a", requests={"example.com/gpu": "1"}))
    pod = make_pod(requests={"example.com/gpu": "1"})
    assert first_reasons(pod, taken) == ("Insufficient example.com/gpu",)


def test_overhead_is_added():
    pod = make_pod(requests={"cpu": "1"}, overhead={"cpu": "250m", "memory": "64Mi"})
    assert pod_requests(pod) == Amount(1250, 64 * 2**20)


def test_nodes_that_are_not_named_are_not_asked():
    names = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}]
    wanted = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": names}}}
    nodes = [node_info(make_node("a", cpu="1")), node_info(make_node("b"))]
    assert reasons(make_pod(requests={"cpu": "2"}, affinity=wanted), *nodes) == {
        "a": ("Insufficient cpu",),
        "b": ("node(s) didn't satisfy plugin(s) [NodeAffinity]",),
    }


def test_the_message_counts_reasons_and_sorts_them_as_text():
    full, cordoned = Rejection(("Insufficient cpu",), resolvable=True), Rejection(("node(s) were unschedulable",))
    assert fit_error({"a": full, "b": cordoned, "c": full}, "not eligible due to preemptionPolicy=Never.") == (
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. "
        "preemption: not eligible due to preemptionPolicy=Never."
    )
    assert fit_error({}) == NO_NODES
