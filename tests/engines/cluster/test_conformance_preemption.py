"""Upstream's test/e2e/scheduling/preemption.go, beyond the basic flow, in its flows."""

from __future__ import annotations

from typing import Any

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import pod, replica_set, requests
from engines.cluster.test_scheduler_on_api import until_bound, until_unschedulable
from kubelab.cluster.pods import is_ready, node_name
from kubelab.cluster.resources import NODES, PODS, PRIORITYCLASSES, REPLICASETS

HOST = "kubernetes.io/hostname"
SCARCE = "example.com/fakecpu"


async def until_names(lab: Lab, *names: str, selector: str = "") -> None:
    async def there() -> bool:
        found = [p for p in await lab.pods(selector=selector) if node_name(p)]
        return {p["metadata"]["name"] for p in found} == set(names)

    await eventually(there, f"the pods {names} on nodes")


async def test_validates_lower_priority_pod_preemption_by_critical_pod(lab: Lab):
    low = {"metadata": {"name": "low"}, "value": -10}
    await lab.client.create(PRIORITYCLASSES, low)
    for index, (node, name) in enumerate((("node-1", "low"), ("node-2", ""))):
        spec = {"priorityClassName": name} if name else {}
        victim = pod(f"pod{index}", containers=requests(cpu="3"), nodeSelector={HOST: node}, **spec)
        await lab.client.create(PODS, victim)
        await until_bound(lab, f"pod{index}")
    critical = pod("critical", containers=requests(cpu="3"), priorityClassName="system-cluster-critical")
    critical["metadata"]["namespace"] = "kube-system"
    await lab.client.create(PODS, critical)

    async def placed() -> str:
        return node_name(await lab.client.get(PODS, "critical", "kube-system"))

    assert await eventually(placed, "the critical pod placed") == "node-1", "where the least important pod was"
    await until_names(lab, "pod1")


async def test_pod_topology_spread_preemption_validates_proper_pods_are_preempted(lab: Lab, priorities: Any):
    """One node is full of an important pod, the other of three unimportant ones: one of these has to go."""
    for node in ("node-1", "node-2"):
        amounts = {"capacity": {SCARCE: "10"}, "allocatable": {SCARCE: "10"}}
        await lab.client.patch(NODES, node, {"status": amounts}, subresource="status")
    top = await lab.client.create(PRIORITYCLASSES, {"metadata": {"name": "top"}, "value": 5000})
    assert top["value"] == 5000

    def filler(name: str, node: str, amount: str, **spec: Any) -> dict[str, Any]:
        containers = requests(**{SCARCE: amount})
        containers[0]["resources"]["limits"] = {SCARCE: amount}
        return pod(name, {"foo": ""}, containers=containers, nodeSelector={HOST: node}, **spec)

    await lab.client.create(PODS, filler("high", "node-1", "9", priorityClassName="top"))
    for index in (1, 2, 3):
        await lab.client.create(PODS, filler(f"low-{index}", "node-2", "3"))
    await until_names(lab, "high", "low-1", "low-2", "low-3")
    containers = requests(**{SCARCE: "3"})
    containers[0]["resources"]["limits"] = {SCARCE: "3"}
    spread = {"maxSkew": 1, "topologyKey": HOST, "whenUnsatisfiable": "DoNotSchedule"}
    spread["labelSelector"] = {"matchExpressions": [{"key": "foo", "operator": "Exists"}]}
    medium = pod("medium", {"foo": ""}, containers=containers, topologySpreadConstraints=[spread], **priorities["high"])
    await lab.client.create(PODS, medium)
    # With one of three gone, the nodes have one and two: node-2 would have one too many, so a second has to go.
    assert await until_bound(lab, "medium") == "node-2"
    left = {p["metadata"]["name"] for p in await lab.pods()}
    assert {"high", "medium"} <= left
    assert len(left) == 3


async def test_runs_replica_sets_to_verify_preemption_running_path(lab: Lab):
    await lab.client.patch(NODES, "node-2", {"spec": {"unschedulable": True}})
    amounts = {"capacity": {SCARCE: "1000"}, "allocatable": {SCARCE: "1000"}}
    await lab.client.patch(NODES, "node-1", {"status": amounts}, subresource="status")
    for level in (1, 2, 3, 4):
        await lab.client.create(PRIORITYCLASSES, {"metadata": {"name": f"p{level}"}, "value": level})
    wanted = {1: (5, "40"), 2: (4, "50"), 3: (4, "95"), 4: (1, "400")}  # level: (replicas, of the 1000 each)

    async def start(level: int) -> None:
        count, amount = wanted[level]
        rs = replica_set(f"rs-pod{level}", count)
        containers = requests(**{SCARCE: amount})
        containers[0]["resources"]["limits"] = {SCARCE: amount}
        rs["spec"]["template"]["spec"] |= {"containers": containers, "priorityClassName": f"p{level}"}
        await lab.client.create(REPLICASETS, rs)

        async def all_run() -> bool:
            found = await lab.pods(selector=f"app=rs-pod{level}")
            return len([p for p in found if is_ready(p)]) == count

        await eventually(all_run, f"the {count} pods of level {level} run")

    for level in (1, 2, 3, 4):
        await start(level)

    async def running(level: int) -> int:
        return len([p for p in await lab.pods(selector=f"app=rs-pod{level}") if node_name(p)])

    async def settled() -> bool:
        return [await running(level) for level in (1, 2, 3, 4)] == [0, 4, 4, 1]

    await eventually(settled, "what is left: 400 + 4 × 95 + 4 × 50 of 1000, and nothing of level 1")
    waiting = [p for p in await lab.pods(selector="app=rs-pod1") if not node_name(p)]
    message = await until_unschedulable(lab, waiting[0]["metadata"]["name"])
    assert f"1 Insufficient {SCARCE}" in message
    assert message.endswith(
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )
