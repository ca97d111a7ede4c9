"""The scheduler through the API: where pods go, and what is said when they cannot."""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab, eventually, hollow_node
from engines.cluster.objects import pod, replica_set, requests
from kubelab.cluster.pods import condition, node_name
from kubelab.cluster.resources import EVENTS, NODES, PODS, REPLICASETS


async def until_bound(lab: Lab, name: str) -> str:
    async def bound() -> str:
        return node_name(await lab.client.get(PODS, name, "default"))

    return await eventually(bound, f"{name} on a node")


async def until_unschedulable(lab: Lab, name: str) -> str:
    """The message of the condition PodScheduled=False."""

    async def unschedulable() -> dict[str, Any] | None:
        scheduled = condition(await lab.client.get(PODS, name, "default"), "PodScheduled")
        return scheduled if scheduled and scheduled["status"] == "False" else None

    scheduled = await eventually(unschedulable, f"{name} declared unschedulable")
    assert scheduled["reason"] == "Unschedulable"
    return scheduled["message"]


async def events_of(lab: Lab, name: str, reason: str) -> list[dict[str, Any]]:
    selector = f"involvedObject.name={name},reason={reason}"
    return (await lab.client.list(EVENTS, "default", field_selector=selector))["items"]


async def test_a_pod_is_bound_and_told_so(lab: Lab):
    await lab.client.create(PODS, pod("one"))
    node = await until_bound(lab, "one")
    (event,) = await eventually(lambda: events_of(lab, "one", "Scheduled"), "the event")
    assert event["message"] == f"Successfully assigned default/one to {node}"
    assert event["reportingComponent"] == "default-scheduler"
    assert event["reportingInstance"].startswith("default-scheduler-")
    assert (event["action"], event.get("source")) == ("Binding", {})
    assert event["eventTime"]
    assert event.get("firstTimestamp") is None
    assert event["involvedObject"]["uid"] == (await lab.client.get(PODS, "one", "default"))["metadata"]["uid"]


async def test_a_pod_that_asks_for_too_much_waits_until_there_is_room(lab: Lab):
    for name in ("first", "second"):
        await lab.client.create(PODS, pod(name, containers=requests(cpu="3")))
    assert {await until_bound(lab, "first"), await until_bound(lab, "second")} == {"node-1", "node-2"}
    await lab.client.create(PODS, pod("third", containers=requests(cpu="2")))
    message = await until_unschedulable(lab, "third")
    assert message == (
        "0/2 nodes are available: 2 Insufficient cpu. "
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )
    (event,) = await eventually(lambda: events_of(lab, "third", "FailedScheduling"), "the event")
    assert (event["type"], event["message"]) == ("Warning", message)
    await lab.client.delete(PODS, "first", "default")
    await until_bound(lab, "third")
    scheduled = condition(await lab.client.get(PODS, "third", "default"), "PodScheduled")
    assert scheduled["status"] == "True"


async def test_cordoned_tainted_and_unmatched_nodes_are_named_apart(lab: Lab):
    await lab.client.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    await lab.client.patch(NODES, "node-2", {"spec": {"taints": [taint]}})
    node = hollow_node("node-3")
    await lab.client.create(NODES, node)
    await lab.client.create(PODS, pod("picky", nodeSelector={"disk": "ssd"}))
    message = await until_unschedulable(lab, "picky")
    assert message == (
        "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {dedicated: gpu}, 1 node(s) were unschedulable. "
        "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    )
    await lab.client.patch(NODES, "node-3", {"metadata": {"labels": {"disk": "ssd"}}})
    assert await until_bound(lab, "picky") == "node-3"


async def test_tolerations_and_node_affinity_are_kept(lab: Lab):
    taint = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"gpu": "yes"}}, "spec": {"taints": [taint]}})
    tolerations = [{"key": "dedicated", "operator": "Exists"}]
    terms = [{"matchExpressions": [{"key": "gpu", "operator": "In", "values": ["yes"]}]}]
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    await lab.client.create(PODS, pod("learner", tolerations=tolerations, affinity=affinity))
    assert await until_bound(lab, "learner") == "node-1"
    await lab.client.create(PODS, pod("web"))
    assert await until_bound(lab, "web") == "node-2"


async def test_a_host_port_is_used_once_a_node(lab: Lab):
    containers = [{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 8080}]}]
    for name in ("one", "two"):
        await lab.client.create(PODS, pod(name, containers=containers))
    assert await until_bound(lab, "one") != await until_bound(lab, "two")
    await lab.client.create(PODS, pod("three", containers=containers))
    message = await until_unschedulable(lab, "three")
    assert message.startswith("0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod ports.")


async def test_replicas_are_spread_over_nodes(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 6))

    async def bound() -> list[str] | None:
        nodes = [node_name(p) for p in await lab.pods()]
        return nodes if len(nodes) == 6 and all(nodes) else None

    nodes = await eventually(bound, "six pods on nodes")
    assert sorted((nodes.count("node-1"), nodes.count("node-2"))) in ([3, 3], [2, 4])


async def test_another_schedulers_pods_are_left_alone(lab: Lab):
    await lab.client.create(PODS, pod("theirs", schedulerName="theirs"))
    await lab.client.create(PODS, pod("ours"))
    await until_bound(lab, "ours")
    assert node_name(await lab.client.get(PODS, "theirs", "default")) == ""
