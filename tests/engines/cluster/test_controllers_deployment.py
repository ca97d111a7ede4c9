"""Deployments: rolling out, back, over, by halves; and what `kubectl rollout` makes of it."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest

from engines.cluster.lab import Lab, eventually
from engines.cluster.objects import deployment
from kubelab.cluster.pods import condition, controller_of, is_terminating
from kubelab.cluster.resources import DEPLOYMENTS, EVENTS, PODS, REPLICASETS
from kubelab.home import Home

REVISION = "deployment.kubernetes.io/revision"


async def until_rolled_out(lab: Lab, name: str, replicas: int) -> dict[str, Any]:
    async def rolled_out() -> dict[str, Any] | None:
        found = await lab.client.get(DEPLOYMENTS, name, "default")
        status = found.get("status", {})
        counts = [status.get(count, 0) for count in ("replicas", "updatedReplicas", "availableReplicas")]
        observed = status.get("observedGeneration") == found["metadata"]["generation"]
        return found if observed and counts == [replicas] * 3 else None

    return await eventually(rolled_out, f"{name} rolled out with {replicas}")


async def change(lab: Lab, name: str, **spec: Any) -> None:
    await lab.client.patch(DEPLOYMENTS, name, {"spec": spec}, "default")


def image(reference: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": reference}]}}


async def replica_sets(lab: Lab) -> list[dict[str, Any]]:
    found = (await lab.client.list(REPLICASETS, "default"))["items"]
    return sorted(found, key=lambda s: int(s["metadata"]["annotations"][REVISION]))


async def test_a_new_deployment_has_one_replica_set_named_after_its_template(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 3))
    found = await until_rolled_out(lab, "web", 3)
    (only,) = await replica_sets(lab)
    made = only["metadata"]["labels"]["pod-template-hash"]
    assert only["metadata"]["name"] == f"web-{made}"
    assert only["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": made}
    assert controller_of(only)["uid"] == found["metadata"]["uid"]
    assert found["metadata"]["annotations"][REVISION] == "1"
    assert only["metadata"]["annotations"]["deployment.kubernetes.io/desired-replicas"] == "3"
    assert only["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"] == "4"
    assert condition(found, "Available")["reason"] == "MinimumReplicasAvailable"
    progressing = condition(found, "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
    assert progressing["message"] == f'ReplicaSet "web-{made}" has successfully progressed.'
    assert {p["metadata"]["labels"]["pod-template-hash"] for p in await lab.pods()} == {made}


async def test_a_rollout_stays_within_surge_and_unavailability(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 8))
    await until_rolled_out(lab, "web", 8)
    await change(lab, "web", template=image("two"))
    sizes: list[tuple[int, int]] = []

    async def watch() -> None:
        listed = await lab.client.list(REPLICASETS, "default")
        version = listed["metadata"]["resourceVersion"]
        current = {s["metadata"]["name"]: s for s in listed["items"]}
        async for _, changed in lab.client.watch(REPLICASETS, "default", resource_version=version):
            current[changed["metadata"]["name"]] = changed
            total = sum(s["spec"]["replicas"] for s in current.values())
            available = sum(s.get("status", {}).get("availableReplicas", 0) for s in current.values())
            sizes.append((total, available))

    watching = asyncio.create_task(watch())
    await until_rolled_out(lab, "web", 8)
    watching.cancel()
    assert max(total for total, _ in sizes) <= 10  # 25 % of 8, rounded up
    assert min(available for _, available in sizes) >= 6  # 25 % of 8, rounded down
    old, new = await replica_sets(lab)
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (0, 8)
    assert new["metadata"]["annotations"][REVISION] == "2"


async def test_going_back_finds_the_old_replica_set_again(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_rolled_out(lab, "web", 2)
    await change(lab, "web", template=image("two"))
    await until_rolled_out(lab, "web", 2)
    await change(lab, "web", template=image("kubelab/python"))
    found = await until_rolled_out(lab, "web", 2)
    second, first = await replica_sets(lab)
    assert first["spec"]["template"]["spec"]["containers"][0]["image"] == "kubelab/python"
    assert first["metadata"]["annotations"][REVISION] == "3"
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert second["metadata"]["annotations"][REVISION] == "2"
    assert found["metadata"]["annotations"][REVISION] == "3"


async def test_a_broken_rollout_stands_still_and_says_so_after_its_deadline(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 4, progressDeadlineSeconds=1))
    await until_rolled_out(lab, "web", 4)
    lab.kubelet.ready = False
    await change(lab, "web", template=image("broken"))

    async def late() -> dict[str, Any] | None:
        found = await lab.client.get(DEPLOYMENTS, "web", "default")
        progressing = condition(found, "Progressing")
        return found if progressing["status"] == "False" else None

    found = await eventually(late, "the deadline")
    progressing = condition(found, "Progressing")
    assert progressing["reason"] == "ProgressDeadlineExceeded"
    assert progressing["message"].endswith("has timed out progressing.")
    assert condition(found, "Available")["status"] == "True"
    old, new = await replica_sets(lab)
    assert (old["spec"]["replicas"], new["spec"]["replicas"]) == (3, 2)
    lab.kubelet.ready = True
    await change(lab, "web", template=image("kubelab/python"))
    await until_rolled_out(lab, "web", 4)


async def test_scaling_amid_a_rollout_shares_by_size(lab: Lab):
    """Upstream's own example: 10 replicas, surge 3, unavailable 2, scaled to 15 with 8 and 5 pods: 11 and 7."""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    await lab.client.create(DEPLOYMENTS, deployment("web", 10, strategy=strategy))
    await until_rolled_out(lab, "web", 10)
    lab.kubelet.ready = False
    await change(lab, "web", template=image("broken"))

    async def sizes(old: int, new: int) -> bool:
        return [s["spec"]["replicas"] for s in await replica_sets(lab)] == [old, new]

    await eventually(lambda: sizes(8, 5), "the rollout stuck at 8 and 5")
    await change(lab, "web", replicas=15)
    await eventually(lambda: sizes(11, 7), "the change shared as 11 and 7")


async def test_a_paused_deployment_scales_but_does_not_roll_out(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_rolled_out(lab, "web", 2)
    await change(lab, "web", paused=True)

    async def reason(wanted: str) -> bool:
        found = await lab.client.get(DEPLOYMENTS, "web", "default")
        return condition(found, "Progressing")["reason"] == wanted

    await eventually(lambda: reason("DeploymentPaused"), "paused")
    await change(lab, "web", template=image("two"), replicas=3)

    async def scaled() -> bool:
        return [s["spec"]["replicas"] for s in await replica_sets(lab)] == [3]

    await eventually(scaled, "scaled while paused")
    await change(lab, "web", paused=False)
    await until_rolled_out(lab, "web", 3)
    assert [s["spec"]["replicas"] for s in await replica_sets(lab)] == [0, 3]


async def test_recreate_never_runs_both_versions(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 3, strategy={"type": "Recreate"}))
    await until_rolled_out(lab, "web", 3)
    old = {p["metadata"]["name"] for p in await lab.pods()}
    version = (await lab.client.list(PODS, "default"))["metadata"]["resourceVersion"]
    await change(lab, "web", template=image("two"))
    async for kind, found in lab.client.watch(PODS, "default", resource_version=version):
        if kind == "DELETED":
            old.discard(found["metadata"]["name"])
        elif kind == "ADDED":
            assert old == set(), "a new pod while old ones run"
            break
    await until_rolled_out(lab, "web", 3)


async def test_history_is_limited(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 1, revisionHistoryLimit=1))
    await until_rolled_out(lab, "web", 1)
    for version in ("two", "three", "four"):
        await change(lab, "web", template=image(version))
        await until_rolled_out(lab, "web", 1)

    async def trimmed() -> bool:
        return [s["metadata"]["annotations"][REVISION] for s in await replica_sets(lab)] == ["3", "4"]

    await eventually(trimmed, "one old revision kept")


async def test_deleting_takes_replica_sets_and_pods_along(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_rolled_out(lab, "web", 2)
    await lab.client.delete(DEPLOYMENTS, "web", "default")

    async def gone() -> bool:
        left = [p for p in await lab.pods() if not is_terminating(p)]
        return not left and not await replica_sets(lab)

    await eventually(gone, "nothing left of the deployment")


async def test_scaling_is_told_in_events(lab: Lab):
    await lab.client.create(DEPLOYMENTS, deployment("web", 2))
    await until_rolled_out(lab, "web", 2)
    await change(lab, "web", replicas=3)
    await until_rolled_out(lab, "web", 3)
    name = (await replica_sets(lab))[0]["metadata"]["name"]
    expected = {f"Scaled up replica set {name} from 0 to 2", f"Scaled up replica set {name} from 2 to 3"}

    async def told() -> bool:
        events = (await lab.client.list(EVENTS, "default", field_selector="reason=ScalingReplicaSet"))["items"]
        return {event["message"] for event in events} == expected

    await eventually(told, "both scalings")


@pytest.mark.requires("kubectl")
async def test_kubectl_rollout(lab: Lab, home: Home):
    async def kubectl(*arguments: str) -> str:
        command = ["kubectl", "--kubeconfig", str(home.kubeconfig), *arguments]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    await lab.client.create(DEPLOYMENTS, deployment("web", 3))
    assert 'deployment "web" successfully rolled out' in await kubectl("rollout", "status", "deployment/web")
    await kubectl("set", "image", "deployment/web", "c=two")
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web")
    history = await kubectl("rollout", "history", "deployment/web")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await kubectl("rollout", "undo", "deployment/web")
    assert "successfully rolled out" in await kubectl("rollout", "status", "deployment/web")
    assert (await lab.pods())[0]["spec"]["containers"][0]["image"] == "kubelab/python"
    before = {p["metadata"]["uid"] for p in await lab.pods()}
    await kubectl("rollout", "restart", "deployment/web")
    await kubectl("rollout", "status", "deployment/web")
    assert before.isdisjoint(p["metadata"]["uid"] for p in await lab.pods() if not is_terminating(p))
