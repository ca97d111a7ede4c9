"""Upstream's end-to-end tests of placement (test/e2e/scheduling/{predicates,preemption,priorities}.go), in their flows.

Two hollow nodes of 4 cores. Names follow upstream's.
"""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab, eventually, hollow_node
from engines.cluster.objects import pod, replica_set, requests, service
from engines.cluster.test_scheduler_on_api import events_of, until_bound, until_unschedulable
from kubelab.cluster.client import APIError
from kubelab.cluster.pods import condition, is_ready, node_name
from kubelab.cluster.resources import NAMESPACES, NODES, PODS, REPLICASETS, SERVICES

HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


def near(kind: str, labels: dict[str, str], key: str = HOST, **more: Any) -> dict[str, Any]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": labels}, **more}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


async def test_validates_pod_overhead_and_resource_limits_of_pods_that_are_allowed_to_run(lab: Lab):
    await lab.client.create(PODS, pod("filler", containers=requests(cpu="3"), nodeSelector={HOST: "node-1"}))
    await until_bound(lab, "filler")
    await lab.client.create(PODS, pod("big", containers=requests(cpu="5")))
    assert await until_unschedulable(lab, "big") == (
        "0/2 nodes are available: 2 Insufficient cpu. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    await lab.client.create(PODS, pod("two", containers=requests(cpu="2")))
    assert await until_bound(lab, "two") == "node-2"


async def test_validates_that_there_is_no_conflict_between_pods_with_same_host_port(lab: Lab):
    def with_port(name: str, ip: str = "", protocol: str = "TCP") -> dict[str, Any]:
        port = {"containerPort": 80, "hostPort": 54321, "hostIP": ip, "protocol": protocol}
        containers = [{"name": "c", "image": "kubelab/python", "ports": [port]}]
        return pod(name, containers=containers, nodeSelector={HOST: "node-1"})

    for made in (with_port("pod1", "127.0.0.1"), with_port("pod2", "127.0.0.2"), with_port("pod3", "127.0.0.1", "UDP")):
        await lab.client.create(PODS, made)
        assert await until_bound(lab, made["metadata"]["name"]) == "node-1"
    await lab.client.create(PODS, with_port("pod4", "0.0.0.0"))
    assert await until_unschedulable(lab, "pod4") == (
        "0/2 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, "
        "1 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are available: "
        "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    )
    for name in ("pod1", "pod2"):
        await lab.client.delete(PODS, name, "default")
    assert await until_bound(lab, "pod4") == "node-1"


async def test_validates_pods_with_scheduling_gates_are_blocked_on_scheduling(lab: Lab):

    await lab.client.create(PODS, pod("gated", schedulingGates=[{"name": "foo"}, {"name": "bar"}]))
    seen = await lab.client.get(PODS, "gated", "default")
    assert condition(seen, "PodScheduled")["reason"] == "SchedulingGated"
    await lab.client.create(PODS, pod("after"))
    await until_bound(lab, "after")
    assert node_name(await lab.client.get(PODS, "gated", "default")) == ""
    await lab.client.patch(PODS, "gated", {"spec": {"schedulingGates": None}}, "default", type="merge")
    await until_bound(lab, "gated")


async def test_pods_that_want_each_other_near_and_pods_that_do_not(lab: Lab):
    await lab.client.create(PODS, pod("db", {"app": "db"}, nodeSelector={HOST: "node-2"}))
    await until_bound(lab, "db")
    await lab.client.create(PODS, pod("web", {"app": "web"}, affinity=near("podAffinity", {"app": "db"})))
    assert await until_bound(lab, "web") == "node-2"
    await lab.client.create(PODS, pod("shy", affinity=near("podAntiAffinity", {"app": "db"})))
    assert await until_bound(lab, "shy") == "node-1"
    await lab.client.create(PODS, pod("lonely", affinity=near("podAffinity", {"app": "cache"})))
    assert (await until_unschedulable(lab, "lonely")).startswith(
        "0/2 nodes are available: 2 node(s) didn't match pod affinity rules. preemption: 0/2 nodes are available: "
        "2 Preemption is not helpful for scheduling."
    )
    await lab.client.create(PODS, pod("cache", {"app": "cache"}, nodeSelector={HOST: "node-1"}))
    assert await until_bound(lab, "lonely") == "node-1", "a pod that it wants came: it is tried again"


async def test_replicas_that_shun_each_other_need_a_node_each(lab: Lab):
    rs = replica_set("web", 3)
    rs["spec"]["template"]["spec"]["affinity"] = near("podAntiAffinity", {"app": "web"})
    await lab.client.create(REPLICASETS, rs)

    async def placed() -> bool:
        return sorted(node_name(p) for p in await lab.pods()) == ["", "node-1", "node-2"]

    await eventually(placed, "two of three on a node each")
    (waiting,) = [p for p in await lab.pods() if not node_name(p)]
    assert await until_unschedulable(lab, waiting["metadata"]["name"]) == (
        "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. "
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    )
    await lab.client.create(NODES, hollow_node("node-3"))
    assert await until_bound(lab, waiting["metadata"]["name"]) == "node-3"


async def test_an_anti_affinity_reaches_over_namespaces_by_their_labels(lab: Lab):
    await lab.client.create(NAMESPACES, {"metadata": {"name": "red", "labels": {"team": "red"}}})
    meant = {"namespaceSelector": {"matchLabels": {"team": "red"}}}
    shy = pod("shy", affinity=near("podAntiAffinity", {"app": "web"}, **meant), nodeSelector={HOST: "node-1"})
    await lab.client.create(PODS, shy)
    await until_bound(lab, "shy")
    web = pod("web", {"app": "web"}, nodeSelector={HOST: "node-1"}, serviceAccountName="default")
    web["metadata"]["namespace"] = "red"

    async def created() -> bool:
        try:
            await lab.client.create(PODS, web)
        except APIError:
            return False
        return True

    await eventually(created, "the namespace's service account")

    async def refused() -> bool:
        scheduled = condition(await lab.client.get(PODS, "web", "red"), "PodScheduled")
        return bool(scheduled) and "1 node(s) didn't satisfy existing pods anti-affinity rules" in scheduled["message"]

    await eventually(refused, "the running pod's wish is kept")


async def test_validates_4_pods_with_max_skew_1_are_evenly_distributed_into_2_nodes(lab: Lab):
    spread = {
        "topologyKey": HOST,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"tier": "even"}},
    }
    rs = replica_set("even", 4)
    rs["spec"]["template"]["metadata"]["labels"]["tier"] = "even"
    rs["spec"]["template"]["spec"]["topologySpreadConstraints"] = [spread]
    await lab.client.create(REPLICASETS, rs)

    async def even() -> bool:
        return sorted(node_name(p) for p in await lab.pods()) == ["node-1", "node-1", "node-2", "node-2"]

    await eventually(even, "two pods on each node")
    await lab.client.patch(NODES, "node-2", {"spec": {"unschedulable": True}})
    await lab.client.create(PODS, pod("fifth", {"tier": "even"}, topologySpreadConstraints=[spread]))
    await lab.client.create(PODS, pod("sixth", {"tier": "even"}, topologySpreadConstraints=[spread]))

    async def stuck() -> list[str]:
        pods = [await lab.client.get(PODS, name, "default") for name in ("fifth", "sixth")]
        return [(condition(p, "PodScheduled") or {}).get("message", "") for p in pods if not node_name(p)]

    async def one_is_stuck() -> list[str]:
        found = await stuck()
        return found if len(found) == 1 and found[0] else []

    (message,) = await eventually(one_is_stuck, "the skew does not let another pod onto node-1")
    assert message.startswith(
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable."
    )
    await lab.client.patch(NODES, "node-2", {"spec": {"unschedulable": False}})

    async def none_is_stuck() -> bool:
        return not await stuck()

    await eventually(none_is_stuck, "both are placed")


async def test_pods_of_a_service_are_spread_without_being_asked(lab: Lab):
    await lab.client.create(SERVICES, service("web", "web"))
    for index in range(4):
        await lab.client.create(PODS, pod(f"web-{index}", {"app": "web"}))
        await until_bound(lab, f"web-{index}")
    assert sorted([node_name(p) for p in await lab.pods()]) == ["node-1", "node-1", "node-2", "node-2"]


async def test_validates_basic_preemption_works(lab: Lab, priorities: dict[str, Any]):
    for index, node in enumerate(("node-1", "node-2")):
        low = pod(f"low-{index}", containers=requests(cpu="3"), nodeSelector={HOST: node}, **priorities["low"])
        await lab.client.create(PODS, low)
        await until_bound(lab, f"low-{index}")
    await lab.client.create(PODS, pod("meek", containers=requests(cpu="2"), **priorities["meek"]))
    assert await until_unschedulable(lab, "meek") == (
        "0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    await lab.client.delete(PODS, "meek", "default")
    lab.kubelet.silent.update({"node-1", "node-2"})  # the victim takes its time
    vip = await lab.client.create(PODS, pod("vip", containers=requests(cpu="2"), **priorities["high"]))

    async def nominated() -> str:
        seen = await lab.client.get(PODS, "vip", "default")
        return (seen.get("status") or {}).get("nominatedNodeName", "")

    node = await eventually(nominated, "the pod nominated for a node")
    victim = f"low-{(node[-1:] == '2' and 1) or 0}"
    leaving = await lab.client.get(PODS, victim, "default")
    target = condition(leaving, "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "PreemptionByScheduler")
    assert target["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    (event,) = await eventually(lambda: events_of(lab, victim, "Preempted"), "the event")
    assert event["message"] == f"Preempted by pod {vip['metadata']['uid']} on node {node}"
    assert (event["action"], event["related"]["name"]) == ("Preempting", "vip")
    assert await until_unschedulable(lab, "vip") == "0/2 nodes are available: 2 Insufficient cpu."
    assert len([p for p in await lab.pods() if p["metadata"].get("deletionTimestamp")]) == 1
    lab.kubelet.silent.clear()
    await lab.client.delete(PODS, victim, "default", grace_period_seconds=0)
    assert await until_bound(lab, "vip") == node

    async def ready() -> bool:
        return is_ready(await lab.client.get(PODS, "vip", "default"))

    await eventually(ready, "the pod that preempted runs")
