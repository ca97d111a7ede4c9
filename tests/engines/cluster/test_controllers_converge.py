"""Whatever is done to pods and sizes, in whatever order: in the end there are as many as were asked for."""

from __future__ import annotations

import contextlib
import random

import pytest

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import deployment, replica_set
from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.deployment.replicasets import template_hash
from kubelab.cluster.pods import controller_of, is_active
from kubelab.cluster.resources import DEPLOYMENTS, PODS, REPLICASETS


async def disturb(lab: Lab, chance: random.Random) -> None:
    """One thing that a student may do, or that may happen."""
    pods = await lab.pods()
    action = chance.choice(["scale", "delete", "kill", "relabel", "sicken"])
    with contextlib.suppress(NotFound):
        if action == "scale" or not pods:
            size = {"spec": {"replicas": chance.randint(0, 8)}}
            await lab.client.patch(REPLICASETS, "web", size, "default", type="merge")
            return
        pod = chance.choice(pods)
        name = pod["metadata"]["name"]
        if action == "delete":
            await lab.client.delete(PODS, name, "default")
        elif action == "kill":
            await lab.client.delete(PODS, name, "default", grace_period_seconds=0)
        elif action == "relabel":
            label = chance.choice(["web", "debug"])
            await lab.client.patch(PODS, name, {"metadata": {"labels": {"app": label}}}, "default")
        else:
            await lab.kubelet.set_ready(pod, chance.choice([True, False]))


@pytest.mark.parametrize("seed", range(6))
async def test_it_converges(lab: Lab, seed: int):
    chance = random.Random(seed)
    owner = await lab.client.create(REPLICASETS, replica_set("web", 3))
    for _ in range(40):
        await disturb(lab, chance)
    await lab.client.patch(REPLICASETS, "web", {"spec": {"replicas": 5}}, "default", type="merge")

    async def as_asked() -> bool:
        pods = await lab.pods()
        mine = [p for p in pods if (controller_of(p) or {}).get("uid") == owner["metadata"]["uid"] and is_active(p)]
        strays = [p for p in pods if p["metadata"]["labels"]["app"] == "web" and controller_of(p) is None]
        status = (await lab.client.get(REPLICASETS, "web", "default"))["status"]
        return len(mine) == 5 == status["replicas"] and not strays

    await eventually(as_asked, f"five pods after seed {seed}")


async def test_a_replica_set_of_the_same_name_is_a_collision_and_another_name_is_found(lab: Lab):
    await lab.client.create(
        DEPLOYMENTS, {**deployment("web", 1), "spec": {**deployment("web", 1)["spec"], "paused": True}}
    )
    found = await lab.client.get(DEPLOYMENTS, "web", "default")
    stranger = replica_set("stranger", 0)
    stranger["metadata"]["name"] = f"web-{template_hash(found)}"
    await lab.client.create(REPLICASETS, stranger)
    await lab.client.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, "default")

    async def rolled_out() -> bool:
        status = (await lab.client.get(DEPLOYMENTS, "web", "default")).get("status", {})
        return status.get("collisionCount") == 1 and status.get("availableReplicas") == 1

    await eventually(rolled_out, "the rollout under another name")
