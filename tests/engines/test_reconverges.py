"""The control plane is killed again and again while things change: in the end the cluster is what was asked for."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from kubernetes import client, config
from kubernetes.client.rest import ApiException

from harness import eventually, levels_here, running_engines
from kubelab.home import Home
from kubelab.lifecycle import ask
from kubelab.supervisor import pids

DEATHS = 15
PODS = 6
LABELS = {"app": "web"}


@pytest.fixture
def home(images: Path) -> Iterator[Home]:
    with running_engines(images, levels_here()[0]) as running:
        yield running


def replica_set(replicas: int) -> dict:
    container = {
        "name": "main",
        "image": "kubelab/python",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "1000"],
    }
    template = {"metadata": {"labels": LABELS}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]}}
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template},
    }


@pytest.mark.timeout(300)
def test_the_cluster_reconverges_after_every_death_of_its_control_plane(home: Home):
    chance = random.Random(3)
    connection = config.new_client_from_config(str(home.kubeconfig))
    connection.rest_client.pool_manager.connection_pool_kw["retries"] = urllib3.Retry(0)
    core, apps = client.CoreV1Api(connection), client.AppsV1Api(connection)
    eventually(lambda: core.list_namespaced_service_account("default").items, "the namespace is ready")
    apps.create_namespaced_replica_set("default", replica_set(3))
    for _ in range(DEATHS):
        kill_in_the_middle(home, core, apps, chance)
    answered(lambda: apps.patch_namespaced_replica_set_scale("web", "default", {"spec": {"replicas": PODS}}))

    def as_asked() -> bool:
        pods = answered(lambda: core.list_namespaced_pod("default")).items
        status = answered(lambda: apps.read_namespaced_replica_set("web", "default")).status
        running = [each for each in pods if each.status.phase == "Running" and not each.metadata.deletion_timestamp]
        return len(pods) == len(running) == PODS == status.replicas == status.ready_replicas

    eventually(as_asked, "as many pods as were asked for, and no other", deadline=60)
    owners = {each.metadata.owner_references[0].name for each in core.list_namespaced_pod("default").items}
    assert owners == {"web"}


def kill_in_the_middle(home: Home, core: client.CoreV1Api, apps: client.AppsV1Api, chance: random.Random) -> None:
    """Ask for another number of pods, delete one, and kill the control plane while it is at work on that."""
    eventually(lambda: _running(home), "a control plane")
    before = pids.read(home.run / "control-plane.pid")
    with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError):
        apps.patch_namespaced_replica_set_scale("web", "default", {"spec": {"replicas": chance.randint(0, PODS)}})
        pods = core.list_namespaced_pod("default").items
        if pods:
            core.delete_namespaced_pod(chance.choice(pods).metadata.name, "default")
    time.sleep(chance.uniform(0, 0.15))  # not for luck: the moment of death
    before.signal(signal.SIGKILL)
    ask(home, "restart", "control-plane")  # by itself the supervisor waits longer after each death
    eventually(lambda: _running(home) not in (None, before.pid), "a new control plane")
    answered(lambda: core.list_namespace())


def _running(home: Home) -> int | None:
    found = pids.read(home.run / "control-plane.pid")
    return found.pid if found else None


def answered(call, deadline: float = 30.0):
    """What the API server answers, as soon as it does."""
    answers = []

    def ask() -> bool:
        with contextlib.suppress(ApiException, urllib3.exceptions.HTTPError):
            answers.append(call())
        return bool(answers)

    eventually(ask, "the API server answers", deadline)
    return answers[0]
