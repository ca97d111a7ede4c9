"""Garbage collection: what goes with its owner, what waits for it, what is cut loose."""

from __future__ import annotations

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import deployment, pod, replica_set, replication_controller
from kubelab.cluster.client import NotFound
from kubelab.cluster.pods import controller_of, is_ready, is_terminating
from kubelab.cluster.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    Resource,
)


async def until_ready(lab: Lab, count: int) -> None:
    async def ready() -> bool:
        return len([p for p in await lab.pods() if is_ready(p)]) == count

    await eventually(ready, f"{count} pods ready")


async def exists(lab: Lab, resource: Resource, name: str) -> bool:
    try:
        await lab.client.get(resource, name, "default")
    except NotFound:
        return False
    return True


async def test_background_deletes_the_owner_first_and_its_pods_after(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 3))
    await until_ready(lab, 3)
    await lab.client.delete(REPLICASETS, "web", "default", propagation_policy="Background")
    assert not await exists(lab, REPLICASETS, "web")
    await eventually(lambda: no_pods(lab), "no pods")


async def no_pods(lab: Lab) -> bool:
    return not await lab.pods()


async def test_foreground_deletes_the_pods_first(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 2))
    await until_ready(lab, 2)
    lab.kubelet.silent.update(lab.kubelet.names)
    await lab.client.delete(REPLICASETS, "web", "default", propagation_policy="Foreground")

    async def leaving() -> bool:
        pods = await lab.pods()
        return len(pods) == 2 and all(is_terminating(p) for p in pods)

    await eventually(leaving, "both pods on their way")
    owner = await lab.client.get(REPLICASETS, "web", "default")
    assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]
    for found in await lab.pods():
        await lab.client.delete(PODS, found["metadata"]["name"], "default", grace_period_seconds=0)

    async def gone() -> bool:
        return not await exists(lab, REPLICASETS, "web")

    await eventually(gone, "the owner goes last")


async def test_orphans_stay_and_have_no_owner(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 2))
    await until_ready(lab, 2)
    names = {p["metadata"]["name"] for p in await lab.pods()}
    await lab.client.delete(REPLICASETS, "web", "default", propagation_policy="Orphan")

    async def gone() -> bool:
        return not await exists(lab, REPLICASETS, "web")

    await eventually(gone, "the owner is gone")
    pods = await lab.pods()
    assert {p["metadata"]["name"] for p in pods} == names
    assert all(controller_of(p) is None for p in pods)


async def test_a_replication_controller_deleted_without_a_policy_leaves_its_pods(lab: Lab):
    await lab.client.create(REPLICATIONCONTROLLERS, replication_controller("web", 1))
    await until_ready(lab, 1)
    await lab.client.delete(REPLICATIONCONTROLLERS, "web", "default")

    async def gone() -> bool:
        return not await exists(lab, REPLICATIONCONTROLLERS, "web")

    await eventually(gone, "the owner is gone")
    (left,) = await lab.pods()
    assert not is_terminating(left)


def config_map(name: str, *owners: tuple[str, str]) -> dict:
    references = [{"apiVersion": "v1", "kind": "ConfigMap", "name": n, "uid": uid} for n, uid in owners]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def test_what_names_an_owner_that_never_was_is_collected(lab: Lab):
    await lab.client.create(CONFIGMAPS, config_map("stray", ("nobody", "00000000-0000-0000-0000-000000000000")))

    async def gone() -> bool:
        return not await exists(lab, CONFIGMAPS, "stray")

    await eventually(gone, "the stray is collected")


async def test_one_of_two_owners_is_enough_to_stay(lab: Lab):
    uids = {}
    for name in ("mother", "father"):
        uids[name] = (await lab.client.create(CONFIGMAPS, config_map(name)))["metadata"]["uid"]
    await lab.client.create(CONFIGMAPS, config_map("child", *uids.items()))
    await lab.client.delete(CONFIGMAPS, "mother", "default", propagation_policy="Background")

    async def one_left() -> bool:
        child = await lab.client.get(CONFIGMAPS, "child", "default")
        return [r["name"] for r in child["metadata"]["ownerReferences"]] == ["father"]

    await eventually(one_left, "the reference to the gone owner is dropped")
    await lab.client.delete(CONFIGMAPS, "father", "default", propagation_policy="Background")

    async def gone() -> bool:
        return not await exists(lab, CONFIGMAPS, "child")

    await eventually(gone, "with the last owner the child goes")


# -- test/e2e/apimachinery/garbage_collector.go, what is not above


async def test_should_delete_rs_created_by_deployment_when_not_orphaning(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_ready(lab, 2)
    await lab.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Background")

    async def all_gone() -> bool:
        return not (await lab.client.list(REPLICASETS, "default"))["items"] and not await lab.pods()

    await eventually(all_gone, "ReplicaSets and pods gone")


async def test_should_orphan_rs_created_by_deployment_when_propagation_policy_is_orphan(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_ready(lab, 2)
    await lab.client.delete(DEPLOYMENTS, "web", "default", propagation_policy="Orphan")

    async def gone() -> bool:
        return not await exists(lab, DEPLOYMENTS, "web")

    await eventually(gone, "the deployment gone")
    (left,) = (await lab.client.list(REPLICASETS, "default"))["items"]
    assert controller_of(left) is None
    assert len(await lab.pods()) == 2


async def test_should_not_delete_dependents_that_have_both_valid_owner_and_owner_that_is_waiting(lab: Lab):
    await lab.client.create(REPLICATIONCONTROLLERS, replication_controller("leaving", 2))
    stays = await lab.client.create(REPLICATIONCONTROLLERS, replication_controller("stays", 0))
    await until_ready(lab, 2)
    first, _ = await lab.pods()
    extra = {"apiVersion": "v1", "kind": "ReplicationController", "name": "stays", "uid": stays["metadata"]["uid"]}
    owners = [*first["metadata"]["ownerReferences"], extra]
    await lab.client.patch(PODS, first["metadata"]["name"], {"metadata": {"ownerReferences": owners}}, "default")
    await lab.client.delete(REPLICATIONCONTROLLERS, "leaving", "default", propagation_policy="Foreground")

    async def gone() -> bool:
        return not await exists(lab, REPLICATIONCONTROLLERS, "leaving")

    await eventually(gone, "the owner gone")
    (left,) = await lab.pods()
    assert left["metadata"]["uid"] == first["metadata"]["uid"]
    assert [r["name"] for r in left["metadata"]["ownerReferences"]] == ["stays"]


async def test_should_not_be_blocked_by_dependency_circle(lab: Lab):
    pods = [await lab.client.create(PODS, pod(f"pod{n}")) for n in (1, 2, 3)]
    for owned, owner in zip(pods, (pods[2], pods[0], pods[1]), strict=True):
        identity = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
        reference = {"apiVersion": "v1", "kind": "Pod", "controller": True, "blockOwnerDeletion": True, **identity}
        patch = {"metadata": {"ownerReferences": [reference]}}
        await lab.client.patch(PODS, owned["metadata"]["name"], patch, "default")
    await lab.client.delete(PODS, "pod1", "default", propagation_policy="Foreground")
    await eventually(lambda: no_pods(lab), "the whole circle gone")


async def test_an_owner_in_another_namespace_is_no_owner_and_that_is_told(lab: Lab):
    await lab.client.create(NAMESPACES, {"metadata": {"name": "far"}})
    there = config_map("owner")
    there["metadata"]["namespace"] = "far"
    owner = await lab.client.create(CONFIGMAPS, there)
    near = config_map("dependent")
    near["metadata"] |= {"namespace": "far"}
    near["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    ]
    await lab.client.create(CONFIGMAPS, near)
    await lab.client.create(CONFIGMAPS, config_map("stranger", ("owner", owner["metadata"]["uid"])))

    async def told() -> list[str]:
        events = await lab.client.list(EVENTS, "default", field_selector="reason=OwnerRefInvalidNamespace")
        return [event["message"] for event in events["items"]]

    (message,) = await eventually(told, "the event")
    uid = owner["metadata"]["uid"]
    assert message == (
        f'ownerRef [v1/ConfigMap, namespace: default, name: owner, uid: {uid}] does not exist in namespace "default"'
    )

    async def gone() -> bool:
        return not await exists(lab, CONFIGMAPS, "stranger")

    await eventually(gone, "the stranger collected")
    found = await lab.client.get(CONFIGMAPS, "dependent", "far")
    assert not is_terminating(found), "the owner counts where it is"


async def test_an_object_of_no_namespace_that_names_an_owner_of_one_is_left_alone(lab: Lab):
    owner = await lab.client.create(CONFIGMAPS, config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    await lab.client.create(NAMESPACES, {"metadata": {"name": "owned", "ownerReferences": [reference]}})

    async def told() -> bool:
        return bool((await lab.client.list(EVENTS, field_selector="reason=OwnerRefInvalidNamespace"))["items"])

    await eventually(told, "the event")
    await lab.client.delete(CONFIGMAPS, "owner", "default", propagation_policy="Background")
    await lab.client.create(CONFIGMAPS, config_map("witness", ("owner", owner["metadata"]["uid"])))

    async def collected() -> bool:
        return not await exists(lab, CONFIGMAPS, "witness")

    await eventually(collected, "the collector has been at work")
    assert not is_terminating(await lab.client.get(NAMESPACES, "owned"))
