"""DaemonSets: a pod on every node that fits, updates in place, revisions."""

from __future__ import annotations

import asyncio
from typing import Any

from engines.cluster.lab import Lab, eventually, hollow_node
from engines.cluster.objects import daemon_set
from kubelab.cluster.pods import is_active, is_ready
from kubelab.cluster.resources import CONTROLLERREVISIONS, DAEMONSETS, EVENTS, NODES, PODS

TAINT = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}


async def until_status(lab: Lab, **counts: int) -> dict[str, Any]:
    """Wait until the status has these counts and is about the present spec."""

    async def counted() -> dict[str, Any] | None:
        found = await lab.client.get(DAEMONSETS, "agent", "default")
        status = found["status"]
        same = all(status.get(name, 0) == count for name, count in counts.items())
        return found if same and status.get("observedGeneration") == found["metadata"]["generation"] else None

    return await eventually(counted, f"status {counts}")


async def create(lab: Lab, **spec: Any) -> dict[str, Any]:
    await lab.client.create(DAEMONSETS, daemon_set("agent", **spec))
    return await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)


async def set_image(lab: Lab, image: str) -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    await lab.client.patch(DAEMONSETS, "agent", patch, "default")


async def active(lab: Lab) -> dict[str, dict[str, Any]]:
    """The pods that count, by node."""
    return {pod["spec"].get("nodeName", ""): pod for pod in await lab.pods() if is_active(pod)}


def image_of(pod: dict[str, Any]) -> str:
    return pod["spec"]["containers"][0]["image"]


async def test_every_node_gets_a_pod_that_only_fits_there(lab: Lab):
    found = await create(lab)
    assert found["status"] == {
        "currentNumberScheduled": 2,
        "desiredNumberScheduled": 2,
        "numberAvailable": 2,
        "numberMisscheduled": 0,
        "numberReady": 2,
        "observedGeneration": 1,
        "updatedNumberScheduled": 2,
    }
    pods = await active(lab)
    assert set(pods) == {"node-1", "node-2"}
    (revision,) = (await lab.client.list(CONTROLLERREVISIONS, "default"))["items"]
    for node, pod in pods.items():
        affinity = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        assert affinity == {"nodeSelectorTerms": [{"matchFields": [field]}]}
        labels = pod["metadata"]["labels"]
        assert labels["controller-revision-hash"] == revision["metadata"]["labels"]["controller-revision-hash"]
        assert labels["pod-template-generation"] == "1"
        tolerated = {t["key"].rpartition("/")[2] for t in pod["spec"]["tolerations"]}
        assert {"not-ready", "unreachable", "unschedulable", "memory-pressure"} <= tolerated


async def test_a_new_node_gets_its_pod(lab: Lab):
    await create(lab)
    lab.kubelet.names.add("node-3")
    await lab.client.create(NODES, hollow_node("node-3"))
    await until_status(lab, numberAvailable=3)
    assert set(await active(lab)) == {"node-1", "node-2", "node-3"}


async def test_a_pod_leaves_a_node_that_fits_no_more(lab: Lab):
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"disk": "ssd"}}})
    spec = daemon_set("agent")
    spec["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    await lab.client.create(DAEMONSETS, spec)
    await until_status(lab, desiredNumberScheduled=1, numberAvailable=1)
    await lab.client.patch(NODES, "node-2", {"metadata": {"labels": {"disk": "ssd"}}})
    await until_status(lab, numberAvailable=2)
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"disk": None}}})
    await until_status(lab, desiredNumberScheduled=1, numberMisscheduled=0)
    assert set(await active(lab)) == {"node-2"}


async def test_a_taint_keeps_new_pods_away_and_lets_old_ones_stay(lab: Lab):
    await create(lab)
    await lab.client.patch(NODES, "node-1", {"spec": {"taints": [TAINT]}})
    await until_status(lab, desiredNumberScheduled=1, numberMisscheduled=1)
    victim = (await active(lab))["node-1"]["metadata"]["name"]
    await lab.client.delete(PODS, victim, "default")
    await until_status(lab, desiredNumberScheduled=1, numberMisscheduled=0)
    assert set(await active(lab)) == {"node-2"}


async def test_cordoning_drives_no_daemon_away(lab: Lab):
    await create(lab)
    await lab.client.patch(NODES, "node-1", {"spec": {"unschedulable": True}})
    victim = (await active(lab))["node-1"]["metadata"]
    await lab.client.delete(PODS, victim["name"], "default")

    async def replaced() -> bool:
        pod = (await active(lab)).get("node-1")
        return pod is not None and pod["metadata"]["uid"] != victim["uid"] and is_ready(pod)

    await eventually(replaced, "a new pod on the cordoned node")


async def test_a_rolling_update_never_takes_more_than_one_node(lab: Lab):
    await create(lab)
    fewest, stop = [2], asyncio.Event()

    async def count() -> None:
        while not stop.is_set():
            fewest.append(sum(is_ready(pod) for pod in (await active(lab)).values()))

    counting = asyncio.create_task(count())
    await set_image(lab, "x:2")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)
    stop.set()
    await counting
    assert min(fewest) >= 1
    assert {image_of(pod) for pod in (await active(lab)).values()} == {"x:2"}


async def test_an_update_stops_at_a_pod_that_does_not_become_ready(lab: Lab):
    await create(lab)
    lab.kubelet.ready = False
    await set_image(lab, "broken")
    await until_status(lab, numberAvailable=1, numberUnavailable=1, updatedNumberScheduled=1)
    assert sorted(image_of(pod) for pod in (await active(lab)).values()) == ["broken", "kubelab/python"]
    lab.kubelet.ready = True
    await set_image(lab, "kubelab/python")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)


async def test_surging_puts_the_new_pod_beside_the_old_one(lab: Lab):
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    await create(lab, updateStrategy=surge)
    lab.kubelet.ready = False
    await set_image(lab, "x:2")

    async def beside() -> bool:
        pods = [pod for pod in await lab.pods() if is_active(pod)]
        return sorted(map(image_of, pods)) == ["kubelab/python", "kubelab/python", "x:2"]

    await eventually(beside, "one pod more, and no old one less")
    lab.kubelet.ready = True
    (waiting,) = [pod for pod in await lab.pods() if image_of(pod) == "x:2"]
    await lab.kubelet.set_ready(waiting, True)
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)
    assert {image_of(pod) for pod in await lab.pods() if is_active(pod)} == {"x:2"}


async def test_on_delete_waits_until_somebody_deletes(lab: Lab):
    await create(lab, updateStrategy={"type": "OnDelete"})
    await set_image(lab, "x:2")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=0)
    await lab.client.delete(PODS, (await active(lab))["node-1"]["metadata"]["name"], "default")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=1)
    assert {node: image_of(pod) for node, pod in (await active(lab)).items()} == {
        "node-1": "x:2",
        "node-2": "kubelab/python",
    }


async def test_revisions_are_numbered_reused_and_limited(lab: Lab):
    await create(lab, revisionHistoryLimit=1)

    async def revisions() -> dict[int, str]:
        items = (await lab.client.list(CONTROLLERREVISIONS, "default"))["items"]
        return {r["revision"]: image_of(r["data"]["spec"]["template"]) for r in items}

    assert await revisions() == {1: "kubelab/python"}
    await set_image(lab, "x:2")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)
    assert await revisions() == {1: "kubelab/python", 2: "x:2"}
    await set_image(lab, "kubelab/python")
    await until_status(lab, numberAvailable=2, updatedNumberScheduled=2)
    assert await revisions() == {2: "x:2", 3: "kubelab/python"}
    await set_image(lab, "x:3")

    async def pruned() -> bool:
        return await revisions() == {3: "kubelab/python", 4: "x:3"}

    await eventually(pruned, "the oldest revision gone")
    await lab.client.delete(DAEMONSETS, "agent", "default")

    async def gone() -> bool:
        return not await revisions() and not await lab.pods()

    await eventually(gone, "pods and revisions gone with the DaemonSet")


async def test_a_failed_pod_is_told_of_and_replaced(lab: Lab):
    await create(lab)
    failed = (await active(lab))["node-1"]
    await lab.kubelet.set_ready(failed, False, phase="Failed")
    await until_status(lab, numberAvailable=2)

    async def told() -> list[dict[str, Any]]:
        events = await lab.client.list(EVENTS, "default", field_selector="reason=FailedDaemonPod")
        return events["items"]

    (event,) = await eventually(told, "an event")
    name = failed["metadata"]["name"]
    assert event["message"] == f"Found failed daemon pod default/{name} on node node-1, will try to kill it"
    assert name not in {pod["metadata"]["name"] for pod in await lab.pods()}


async def test_a_pod_for_a_node_that_is_gone_is_deleted(lab: Lab):
    lab.kubelet.names.add("node-3")
    full = hollow_node("node-3")
    full["status"]["allocatable"]["pods"] = "0"
    await lab.client.create(NODES, full)
    await lab.client.create(DAEMONSETS, daemon_set("agent"))
    await until_status(lab, desiredNumberScheduled=3, numberAvailable=2, currentNumberScheduled=3)
    await lab.client.delete(NODES, "node-3")

    async def gone() -> bool:
        return len(await lab.pods()) == 2

    # Nothing tells a DaemonSet of a node that went; the next change of one of its pods does.
    await lab.kubelet.set_ready((await active(lab))["node-1"], False)
    await until_status(lab, desiredNumberScheduled=2)
    await eventually(gone, "no pod for the node that is gone")
