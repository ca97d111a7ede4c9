"""ReplicaSet and ReplicationController: the same promises, kept by the same reconciler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import pod, replica_set, replication_controller
from kubelab.cluster.pods import controller_of, is_active
from kubelab.cluster.resources import EVENTS, PODS, REPLICASETS, REPLICATIONCONTROLLERS, Resource

Make = Callable[..., dict[str, Any]]
KINDS = [
    pytest.param(REPLICASETS, replica_set, id="ReplicaSet"),
    pytest.param(REPLICATIONCONTROLLERS, replication_controller, id="ReplicationController"),
]


async def until_ready(lab: Lab, resource: Resource, name: str, count: int) -> dict[str, Any]:
    async def ready() -> dict[str, Any] | None:
        found = await lab.client.get(resource, name, "default")
        status = found.get("status", {})
        same = status.get("readyReplicas", 0) == count == status.get("replicas")
        return found if same and status.get("observedGeneration") == found["metadata"]["generation"] else None

    return await eventually(ready, f"{count} ready pods of {name}")


async def scale(lab: Lab, resource: Resource, name: str, count: int) -> None:
    await lab.client.patch(resource, name, {"spec": {"replicas": count}}, "default", type="merge")


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_pods_are_created_and_counted(lab: Lab, resource: Resource, make: Make):
    await lab.client.create(resource, make("web", 3))
    owner = await until_ready(lab, resource, "web", 3)
    assert owner["status"] == {
        "replicas": 3,
        "fullyLabeledReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "observedGeneration": 1,
    }
    pods = await lab.pods()
    assert len(pods) == 3
    for found in pods:
        assert found["metadata"]["name"].startswith("web-")
        reference = controller_of(found)
        assert reference["kind"] == resource.kind
        assert reference["uid"] == owner["metadata"]["uid"]
        assert reference["blockOwnerDeletion"] is True
    assert {found["spec"]["nodeName"] for found in pods} == {"node-1", "node-2"}


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_a_deleted_pod_is_replaced(lab: Lab, resource: Resource, make: Make):
    await lab.client.create(resource, make("web", 3))
    await until_ready(lab, resource, "web", 3)
    victim = (await lab.pods())[0]["metadata"]
    await lab.client.delete(PODS, victim["name"], "default")

    async def replaced() -> bool:
        names = {found["metadata"]["name"] for found in await lab.pods() if is_active(found)}
        return len(names) == 3 and victim["name"] not in names

    await eventually(replaced, "a new pod for the deleted one")


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_a_pod_taken_out_by_its_label_is_released_and_replaced(lab: Lab, resource: Resource, make: Make):
    await lab.client.create(resource, make("web", 2))
    await until_ready(lab, resource, "web", 2)
    chosen = (await lab.pods())[0]["metadata"]["name"]
    await lab.client.patch(PODS, chosen, {"metadata": {"labels": {"app": "debug"}}}, "default")

    async def apart() -> bool:
        pods = await lab.pods()
        free = [found for found in pods if controller_of(found) is None]
        return len(pods) == 3 and [found["metadata"]["name"] for found in free] == [chosen]

    await eventually(apart, "the pod on its own and a replacement")
    await lab.client.patch(PODS, chosen, {"metadata": {"labels": {"app": "web"}}}, "default")
    await until_ready(lab, resource, "web", 2)


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_a_matching_pod_without_an_owner_is_adopted(lab: Lab, resource: Resource, make: Make):
    orphan = await lab.client.create(PODS, pod("lonely", {"app": "web"}))
    await lab.client.create(resource, make("web", 2))
    owner = await until_ready(lab, resource, "web", 2)
    adopted = await lab.client.get(PODS, "lonely", "default")
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert controller_of(adopted)["uid"] == owner["metadata"]["uid"]
    assert len(await lab.pods()) == 2


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_scaling_down_takes_unready_pods_first(lab: Lab, resource: Resource, make: Make):
    await lab.client.create(resource, make("web", 4))
    await until_ready(lab, resource, "web", 4)
    sick = (await lab.pods())[1]
    await lab.kubelet.set_ready(sick, False)
    await until_counted(lab, resource, "web", 3)
    await scale(lab, resource, "web", 3)
    await until_ready(lab, resource, "web", 3)

    async def gone() -> bool:
        return sick["metadata"]["name"] not in {found["metadata"]["name"] for found in await lab.pods()}

    await eventually(gone, "the unready pod is the one that went")
    await scale(lab, resource, "web", 0)
    await until_ready(lab, resource, "web", 0)


async def until_counted(lab: Lab, resource: Resource, name: str, ready: int) -> None:
    async def counted() -> bool:
        return (await lab.client.get(resource, name, "default"))["status"].get("readyReplicas", 0) == ready

    await eventually(counted, f"{ready} of {name} counted as ready")


@pytest.mark.parametrize(("resource", "make"), KINDS)
async def test_pods_become_available_after_min_ready_seconds(lab: Lab, resource: Resource, make: Make):
    await lab.client.create(resource, make("web", 1, minReadySeconds=1))
    owner = await until_ready(lab, resource, "web", 1)
    assert "availableReplicas" not in owner["status"]

    async def available() -> bool:
        return (await lab.client.get(resource, "web", "default"))["status"].get("availableReplicas") == 1

    await eventually(available, "availability by the passing of time")


async def test_what_was_done_is_told_in_events(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 1))
    await until_ready(lab, REPLICASETS, "web", 1)
    name = (await lab.pods())[0]["metadata"]["name"]
    await scale(lab, REPLICASETS, "web", 0)
    expected = {("SuccessfulCreate", f"Created pod: {name}"), ("SuccessfulDelete", f"Deleted pod: {name}")}

    async def told() -> bool:
        events = (await lab.client.list(EVENTS, "default", field_selector="involvedObject.kind=ReplicaSet"))["items"]
        assert all(event["reportingComponent"] == "replicaset-controller" for event in events)
        return {(event["reason"], event["message"]) for event in events} == expected

    await eventually(told, "events of creation and deletion")


async def test_twenty_pods_within_a_second(lab: Lab):
    """Controllers' and scheduler's share of 0 to 20: the rest of the five seconds is the kubelets'."""
    await lab.client.create(REPLICASETS, replica_set("web", 20))

    async def ready() -> bool:
        status = (await lab.client.get(REPLICASETS, "web", "default")).get("status", {})
        return status.get("readyReplicas") == 20

    await eventually(ready, "twenty ready pods", deadline=3.0)
    nodes = [found["spec"]["nodeName"] for found in await lab.pods()]
    assert abs(nodes.count("node-1") - nodes.count("node-2")) <= 2
