"""Garbage collection: what goes with its owner, what waits for it, what is cut loose."""

from __future__ import annotations

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import replica_set, replication_controller
from kubelab.cluster.client import NotFound
from kubelab.cluster.pods import controller_of, is_ready, is_terminating
from kubelab.cluster.resources import CONFIGMAPS, PODS, REPLICASETS, REPLICATIONCONTROLLERS, Resource


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
    for pod in await lab.pods():
        await lab.client.delete(PODS, pod["metadata"]["name"], "default", grace_period_seconds=0)

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
    (pod,) = await lab.pods()
    assert not is_terminating(pod)


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
