"""Upstream's test/e2e/apps/{replica_set,rc,deployment,daemon_set,job}.go, what no other file here has, in its flows."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import daemon_set, deployment, job, pod, replica_set, replication_controller
from engines.cluster.test_controllers_deployment import image, until_rolled_out
from kubelab.cluster.client import Conflict, NotFound
from kubelab.cluster.pods import condition, controller_of, is_active, is_ready, node_name
from kubelab.cluster.resources import (
    DAEMONSETS,
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICASETS,
    REPLICATIONCONTROLLERS,
    RESOURCEQUOTAS,
    Resource,
)

Object = dict[str, Any]


async def until_ready(lab: Lab, count: int, selector: str = "") -> list[Object]:
    async def ready() -> list[Object] | None:
        found = [p for p in await lab.pods(selector=selector) if is_active(p)]
        return found if len(found) == count and all(map(is_ready, found)) else None

    found = await eventually(ready, f"{count} ready pods")
    return found


@pytest.mark.parametrize(
    ("resource", "made"),
    [
        (REPLICASETS, replica_set("condition-test", 3)),
        (REPLICATIONCONTROLLERS, replication_controller("condition-test", 3)),
    ],
    ids=["ReplicaSet", "ReplicationController"],
)
async def test_should_surface_a_failure_condition_on_a_common_issue_like_exceeded_quota(
    lab: Lab, resource: Resource, made: Object
):
    quota = {"metadata": {"name": "condition-test", "namespace": "default"}, "spec": {"hard": {"pods": "2"}}}
    await lab.client.create(RESOURCEQUOTAS, quota)

    async def counted() -> bool:
        found = await lab.client.get(RESOURCEQUOTAS, "condition-test", "default")
        return (found.get("status", {}).get("hard") or {}).get("pods") == "2"

    await eventually(counted, "the quota in force")
    await lab.client.create(resource, made)

    async def failing() -> Object | None:
        found = condition(await lab.client.get(resource, "condition-test", "default"), "ReplicaFailure")
        return found

    failure = await eventually(failing, "the condition ReplicaFailure")
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: condition-test" in failure["message"]
    await lab.client.patch(resource, "condition-test", {"spec": {"replicas": 2}}, "default")

    async def cleared() -> bool:
        return await failing() is None

    await eventually(cleared, "the condition gone")
    await until_ready(lab, 2)


async def test_replicaset_should_list_and_delete_a_collection_of_replicasets(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("test-rs", 3))
    await until_ready(lab, 3)
    await lab.client.delete_collection(REPLICASETS, "default", propagation_policy="Background")

    async def gone() -> bool:
        return not (await lab.client.list(REPLICASETS, "default"))["items"] and not await lab.pods()

    await eventually(gone, "sets and pods gone")


async def test_deployment_replicaset_orphaning_and_adoption_regarding_controller_ref(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("test-orphan-deployment", 1))
    first = await until_rolled_out(lab, "test-orphan-deployment", 1)
    await lab.client.delete(DEPLOYMENTS, "test-orphan-deployment", "default", propagation_policy="Orphan")

    async def orphan() -> Object | None:
        (found,) = (await lab.client.list(REPLICASETS, "default"))["items"]
        return found if controller_of(found) is None else None

    orphaned = await eventually(orphan, "the ReplicaSet orphaned")
    (kept,) = await lab.pods()
    second = await lab.client.create(DEPLOYMENTS, deployment("test-adopt-deployment", 1) | {"spec": first["spec"]})
    await until_rolled_out(lab, "test-adopt-deployment", 1)
    (adopted,) = (await lab.client.list(REPLICASETS, "default"))["items"]
    assert adopted["metadata"]["uid"] == orphaned["metadata"]["uid"]
    assert controller_of(adopted)["uid"] == second["metadata"]["uid"]
    assert [p["metadata"]["uid"] for p in await lab.pods()] == [kept["metadata"]["uid"]]


async def test_deployment_should_delete_old_replica_sets(lab: Lab):
    old = replica_set("test-cleanup-controller", 1)
    old["metadata"]["labels"] = {"app": "test-cleanup-controller"}
    await lab.client.create(REPLICASETS, old)
    await until_ready(lab, 1)
    made = deployment("test-cleanup-controller", 1, revisionHistoryLimit=0)
    made["metadata"]["name"] = "test-cleanup-deployment"
    made["spec"]["template"]["spec"]["containers"][0]["image"] = "two"
    await lab.client.create(DEPLOYMENTS, made)
    await until_rolled_out(lab, "test-cleanup-deployment", 1)

    async def one_left() -> bool:
        return len((await lab.client.list(REPLICASETS, "default"))["items"]) == 1

    await eventually(one_left, "the adopted one cleaned up")


async def test_deployment_should_support_rollover(lab: Lab):
    """A rollout that cannot end is overtaken by the next, and leaves nothing behind."""
    await lab.client.create(DEPLOYMENTS, deployment("test-rollover", 2, minReadySeconds=0))
    await until_rolled_out(lab, "test-rollover", 2)
    lab.kubelet.ready = False
    await lab.client.patch(DEPLOYMENTS, "test-rollover", {"spec": {"template": image("broken")}}, "default")

    async def started() -> bool:
        return any(p["spec"]["containers"][0]["image"] == "broken" for p in await lab.pods())

    await eventually(started, "the rollout that cannot end")
    lab.kubelet.ready = True
    await lab.client.patch(DEPLOYMENTS, "test-rollover", {"spec": {"template": image("good")}}, "default")
    await until_rolled_out(lab, "test-rollover", 2)
    sizes = {
        s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"]
        for s in (await lab.client.list(REPLICASETS, "default"))["items"]
    }
    assert sizes == {"kubelab/python": 0, "broken": 0, "good": 2}


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_iterative_rollouts_should_eventually_progress(lab: Lab, seed: int):
    """Whatever is done to it, and in whatever order, in the end it is what it should be."""
    chance, name = random.Random(seed), "webserver"
    await lab.client.create(DEPLOYMENTS, deployment(name, 6, progressDeadlineSeconds=30, revisionHistoryLimit=2))
    for step in range(20):
        action = chance.choice(["rollout", "rollback", "scale", "pause", "resume", "delete pods"])
        if action == "rollout":
            await lab.client.patch(DEPLOYMENTS, name, {"spec": {"template": image(f"v{step}")}}, "default")
        elif action == "rollback":
            await lab.client.patch(DEPLOYMENTS, name, {"spec": {"template": image("kubelab/python")}}, "default")
        elif action == "scale":
            await lab.client.patch(DEPLOYMENTS, name, {"spec": {"replicas": chance.randint(1, 8)}}, "default")
        elif action in ("pause", "resume"):
            await lab.client.patch(DEPLOYMENTS, name, {"spec": {"paused": action == "pause"}}, "default")
        else:
            for found in chance.sample(pods := await lab.pods(), min(2, len(pods))):
                with contextlib.suppress(NotFound):
                    await lab.client.delete(PODS, found["metadata"]["name"], "default", grace_period_seconds=0)
    await lab.client.patch(DEPLOYMENTS, name, {"spec": {"paused": False}}, "default")
    wanted = (await lab.client.get(DEPLOYMENTS, name, "default"))["spec"]["replicas"]
    found = await until_rolled_out(lab, name, wanted)
    pods = await until_ready(lab, wanted)
    assert {p["spec"]["containers"][0]["image"] for p in pods} == {
        found["spec"]["template"]["spec"]["containers"][0]["image"]
    }

    async def complete() -> bool:
        progressing = condition(await lab.client.get(DEPLOYMENTS, name, "default"), "Progressing")
        return progressing["reason"] == "NewReplicaSetAvailable"

    await eventually(complete, "the condition of a rollout that is over")


async def test_daemonset_should_run_and_stop_complex_daemon_with_node_affinity(lab: Lab):
    made = daemon_set("daemon-set")
    made["spec"]["template"]["spec"]["nodeSelector"] = {"daemonset-color": "blue"}
    await lab.client.create(DAEMONSETS, made)

    async def where() -> set[str]:
        return {node_name(p) for p in await lab.pods() if is_active(p)}

    assert await where() == set()
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"daemonset-color": "blue"}}})

    async def on_blue() -> bool:
        return await where() == {"node-1"}

    await eventually(on_blue, "a daemon on the blue node")
    await lab.client.patch(NODES, "node-1", {"metadata": {"labels": {"daemonset-color": "green"}}})

    async def nowhere() -> bool:
        return not await lab.pods()

    await eventually(nowhere, "no daemon")
    update = {"spec": {"template": {"spec": {"nodeSelector": {"daemonset-color": "green"}}}}}
    await lab.client.patch(DAEMONSETS, "daemon-set", update, "default")
    await eventually(on_blue, "a daemon on the node that is green now")


async def test_daemonset_should_rollback_without_unnecessary_restarts(lab: Lab):
    await lab.client.create(DAEMONSETS, daemon_set("daemon-set"))
    before = {p["metadata"]["uid"] for p in await until_ready(lab, 2)}
    lab.kubelet.ready = False
    await lab.client.patch(DAEMONSETS, "daemon-set", {"spec": {"template": image("foo:non-existent")}}, "default")

    async def stuck() -> list[Object]:
        return [p for p in await lab.pods() if p["spec"]["containers"][0]["image"] == "foo:non-existent"]

    await eventually(stuck, "one pod of the bad version")
    (kept,) = [p["metadata"]["uid"] for p in await lab.pods() if p["metadata"]["uid"] in before]
    lab.kubelet.ready = True
    await lab.client.patch(DAEMONSETS, "daemon-set", {"spec": {"template": image("kubelab/python")}}, "default")

    async def back() -> bool:
        found = await lab.pods()
        images = {p["spec"]["containers"][0]["image"] for p in found}
        return len(found) == 2 and images == {"kubelab/python"} and all(map(is_ready, found))

    await eventually(back, "both of the good version")
    assert kept in {p["metadata"]["uid"] for p in await lab.pods()}, "it was never replaced"


async def test_daemonset_should_retry_creating_failed_daemon_pods(lab: Lab):
    await lab.client.create(DAEMONSETS, daemon_set("daemon-set"))
    (first, *_) = await until_ready(lab, 2)
    await lab.client.patch(
        PODS, first["metadata"]["name"], {"status": {"phase": "Failed"}}, "default", subresource="status"
    )

    async def replaced() -> bool:
        found = await lab.pods()
        uids = {p["metadata"]["uid"] for p in found}
        return first["metadata"]["uid"] not in uids and len(found) == 2 and all(map(is_ready, found))

    await eventually(replaced, "another pod in its place")


async def test_job_should_adopt_matching_orphans_and_release_non_matching_pods(lab: Lab):
    await lab.client.create(JOBS, job("adopt-release", parallelism=2, completions=2))
    first, *_ = await until_ready(lab, 2)
    name = first["metadata"]["name"]
    await lab.client.patch(PODS, name, {"metadata": {"ownerReferences": None}}, "default", type="merge")

    async def owner() -> Object | None:
        return controller_of(await lab.client.get(PODS, name, "default"))

    await eventually(owner, "the orphan adopted")
    for _ in range(5):
        try:
            now = await lab.client.get(PODS, name, "default")
            await lab.client.update(PODS, {**now, "metadata": {**now["metadata"], "labels": {}}})
            break
        except Conflict:
            continue

    async def released() -> bool:
        return await owner() is None

    await eventually(released, "the pod that matches no more released")
    await until_ready(lab, 3)


async def test_a_pod_that_matches_two_is_not_adopted_from_its_owner(lab: Lab):
    await lab.client.create(REPLICASETS, replica_set("web", 2))
    mine = {p["metadata"]["uid"] for p in await until_ready(lab, 2)}
    other = replica_set("other", 1, selector={"matchLabels": {"app": "web"}})
    other["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
    second = await lab.client.create(REPLICASETS, other)
    found = await until_ready(lab, 3)
    owners = {p["metadata"]["uid"]: controller_of(p)["name"] for p in found}
    assert {name for uid, name in owners.items() if uid in mine} == {"web"}
    assert sorted(owners.values()) == ["other", "web", "web"]
    assert second["spec"]["replicas"] == 1


async def test_a_pod_of_the_right_labels_is_adopted_and_makes_another_unneeded(lab: Lab):
    await lab.client.create(PODS, pod("pod-adoption", {"app": "web"}))
    await until_ready(lab, 1)
    made = await lab.client.create(REPLICATIONCONTROLLERS, replication_controller("web", 1))

    async def adopted() -> bool:
        owner = controller_of(await lab.client.get(PODS, "pod-adoption", "default"))
        return owner is not None and owner["uid"] == made["metadata"]["uid"]

    await eventually(adopted, "the pod adopted")
    assert len(await lab.pods()) == 1
