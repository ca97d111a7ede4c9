"""A node taken out of service and back by kubectl, and one whose agent starts anew: end to end."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engines.cluster.lab import eventually
from harness import kubelab
from kubelab.cluster.resources import DAEMONSETS, DEPLOYMENTS, NODES, PODS

from .conftest import Bench, shell

pytestmark = pytest.mark.requires("kubectl")


class Operator:
    """Somebody with kubectl, and what is to be moved: a Deployment, a DaemonSet, a pod that nobody owns."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    async def kubectl(self, *words: str) -> str:
        command = ["kubectl", "--kubeconfig", str(self.bench.home.kubeconfig), "-n", self.bench.namespace, *words]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    async def make(self) -> None:
        volumes = [{"name": "scratch", "emptyDir": {}}]
        mounts = [{"name": "scratch", "mountPath": "/scratch"}]
        pod = {
            "terminationGracePeriodSeconds": 0,
            "containers": [shell("sleep 1000", volumeMounts=mounts)],
            "volumes": volumes,
        }
        for resource, kind, name, more in (
            (DEPLOYMENTS, "Deployment", "web", {"replicas": 4}),
            (DAEMONSETS, "DaemonSet", "agent", {}),
        ):
            labels = {"app": name}
            template = {"metadata": {"labels": labels}, "spec": pod}
            spec = {"selector": {"matchLabels": labels}, "template": template, **more}
            made = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
            await self.bench.client.create(resource, made, self.bench.namespace)
        await self.bench.create("alone", shell("sleep 1000"), nodeName="node-1")
        await self.all_ready(web=4, agent=2, alone=1)

    async def pods(self, app: str) -> list[dict[str, Any]]:
        found = await self.bench.client.list(PODS, self.bench.namespace, label_selector=f"app={app}")
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    async def where(self, app: str) -> set[tuple[str, str]]:
        return {(pod["spec"]["nodeName"], pod["metadata"]["uid"]) for pod in await self.pods(app)}

    async def all_ready(self, **wanted: int) -> None:
        async def are_ready() -> bool:
            for app, count in wanted.items():
                pods = await self.pods(app)
                conditions = [{c["type"]: c["status"] for c in p["status"].get("conditions", [])} for p in pods]
                if [c.get("Ready") for c in conditions] != ["True"] * count:
                    return False
            return True

        await eventually(are_ready, f"{wanted} are ready", 40)

    async def top_shows(self, *names: str) -> None:
        """`kubectl top nodes`, with figures."""

        async def shown() -> bool:
            lines = (await self.kubectl("top", "nodes", "--no-headers")).splitlines()
            return {line.split()[0] for line in lines if "<unknown>" not in line} >= set(names)

        await eventually(shown, f"kubectl top shows {names}", 60)


@pytest.fixture
async def operator(bench: Bench) -> AsyncIterator[Operator]:
    made = Operator(bench)
    yield made
    await made.kubectl("uncordon", "node-1")


async def test_a_node_is_drained_and_takes_pods_again(operator: Operator) -> None:
    bench = operator.bench
    await operator.make()
    (daemon,) = {uid for node, uid in await operator.where("agent") if node == "node-1"}

    said = await operator.kubectl(
        "drain", "node-1", "--ignore-daemonsets", "--force", "--delete-emptydir-data", "--timeout=60s"
    )
    assert said.startswith("node/node-1 cordoned\n") and said.endswith("node/node-1 drained\n")
    await operator.all_ready(web=4, agent=2)
    assert {node for node, _ in await operator.where("web")} == {"node-2"}
    assert ("node-1", daemon) in await operator.where("agent")
    assert await operator.where("alone") == set()  # nobody made it anew
    assert "SchedulingDisabled" in await operator.kubectl("get", "node", "node-1")

    await bench.create("waits", shell("sleep 1000"), nodeSelector={"kubernetes.io/hostname": "node-1"})
    assert "1 node(s) were unschedulable" in await bench.event("waits", "FailedScheduling")
    assert await operator.kubectl("uncordon", "node-1") == "node/node-1 uncordoned\n"
    assert (await bench.ready("waits"))["spec"]["nodeName"] == "node-1"
    await operator.top_shows("node-1", "node-2")


async def test_a_cordoned_node_keeps_what_runs_there(operator: Operator) -> None:
    await operator.make()
    before = {app: await operator.where(app) for app in ("web", "agent", "alone")}
    assert await operator.kubectl("cordon", "node-1") == "node/node-1 cordoned\n"
    assert (await operator.bench.client.get(NODES, "node-1"))["spec"]["unschedulable"] is True
    await operator.kubectl("scale", "deployment/web", "--replicas=6")
    await operator.all_ready(web=6, agent=2, alone=1)
    after = {app: await operator.where(app) for app in before}
    assert all(before[app] <= after[app] for app in before)
    assert {node for node, _ in after["web"] - before["web"]} == {"node-2"}


async def test_an_agent_that_starts_anew_takes_its_pods_back(operator: Operator) -> None:
    await operator.make()
    before = await operator.where("web") | await operator.where("agent") | await operator.where("alone")
    started = {c["containerID"]: c for p in await operator.pods("web") for c in p["status"]["containerStatuses"]}
    await asyncio.to_thread(kubelab, operator.bench.home, "restart", "node-1")
    await operator.all_ready(web=4, agent=2, alone=1)
    assert await operator.where("web") | await operator.where("agent") | await operator.where("alone") == before
    again = {c["containerID"]: c for p in await operator.pods("web") for c in p["status"]["containerStatuses"]}
    assert again == started  # the same containers, with as many restarts
    await operator.top_shows("node-1", "node-2")
