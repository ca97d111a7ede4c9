"""One set of engines: nothing is left after any kind of end, nothing is lost that should stay."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from kubernetes import client, config

from harness import eventually, kubelab, left_over, levels_here, processes_of, running_engines
from kubelab.runtime.client import RuntimeClient
from kubelab.supervisor import pids

POD = {
    "metadata": {"name": "sleeper"},
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "main", "image": "kubelab/python", "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]}
        ],
    },
}


@contextmanager
def api(home):
    """A client of the cluster in `home`."""
    with config.new_client_from_config(str(home.kubeconfig)) as connection:
        yield client.CoreV1Api(connection)


def status(home):
    return json.loads(kubelab(home, "status", "--json").stdout)


def component(home, name):
    return next(each for each in status(home)["components"] if each["name"] == name)


def run_pod(core, node):
    """A running pod on `node`, as the API shows it."""
    core.create_namespaced_pod("default", {**POD, "spec": {**POD["spec"], "nodeName": node}})
    eventually(lambda: core.read_namespaced_pod("sleeper", "default").status.phase == "Running", "the pod runs")
    return core.read_namespaced_pod("sleeper", "default")


def container(core):
    (state,) = core.read_namespaced_pod("sleeper", "default").status.container_statuses
    return state.container_id, state.restart_count, state.ready


def containers(core):
    """IDs of the running containers of the pods in `default`."""
    states = [
        state for pod in core.list_namespaced_pod("default").items for state in pod.status.container_statuses or []
    ]
    return [state.container_id for state in states if state.state.running]


def node_is_ready(core, name):
    conditions = core.read_node(name).status.conditions
    return next(each.status for each in conditions if each.type == "Ready") == "True"


@pytest.fixture(params=levels_here())
def lab(request, images, monkeypatch):
    """Running engines of this test's own, with a running pod. The test ends them, in its way."""
    monkeypatch.setenv("KUBELAB_RUNTIME", request.param)
    with running_engines(images, request.param) as home:
        with api(home) as core:
            eventually(lambda: core.list_namespaced_service_account("default").items, "the namespace is ready")
            run_pod(core, "node-1")
        yield home


def test_down_leaves_nothing(lab):
    kubelab(lab, "down")
    assert left_over(lab) == []


@pytest.mark.parametrize("victims", [("supervisor",), ("guard",), ("guard", "supervisor"), ("runtime", "supervisor")])
def test_a_kill_leaves_nothing(lab, victims):
    processes = [pids.read(lab.run / f"{name}.pid") for name in victims]
    for process in processes:
        process.signal(signal.SIGKILL)
    if victims == ("guard", "supervisor"):
        # nobody is left to remove sockets; no process may be there, and the next command removes the rest
        eventually(lambda: not list(processes_of(lab)), "no process is left")
        kubelab(lab, "down")
    eventually(lambda: not left_over(lab), f"nothing is left: {left_over(lab)}")


def test_objects_survive_down_and_a_killed_control_plane(lab):
    with api(lab) as core:
        core.create_namespaced_config_map("default", {"metadata": {"name": "kept"}, "data": {"a": "1"}})
        before = core.read_namespaced_config_map("kept", "default").metadata
    pids.read(lab.run / "control-plane.pid").signal(signal.SIGKILL)
    eventually(lambda: component(lab, "control-plane")["restarts"] == 1, "the control plane is back")
    eventually(lambda: component(lab, "control-plane")["state"] == "ready", "the control plane is ready")
    kubelab(lab, "down")
    kubelab(lab, "up")
    with api(lab) as core:
        after = core.read_namespaced_config_map("kept", "default").metadata
    assert (after.uid, after.resource_version) == (before.uid, before.resource_version)


def test_containers_survive_their_kubelet_and_another_profile(lab):
    with api(lab) as core:
        before = container(core)
        pids.read(lab.run / "node-1.pid").signal(signal.SIGKILL)
        eventually(lambda: component(lab, "node-1")["restarts"] == 1, "the agent is back")
        eventually(lambda: component(lab, "node-1")["state"] == "ready", "the agent is ready")
        kubelab(lab, "up", "--profile", "upstream")
        assert status(lab)["profile"] == "upstream"
        eventually(lambda: node_is_ready(core, "node-1"), "the node is ready")
        assert container(core) == before


def test_a_lost_node_is_noticed_and_comes_back_empty(lab):
    with api(lab) as core:
        (before,) = containers(core)
        assert kubelab(lab, "node", "stop", "node-1").stdout == "node-1 is lost\n"
        assert component(lab, "node-1")["state"] == "lost"
        eventually(lambda: not node_is_ready(core, "node-1"), "the node is NotReady", deadline=30)
        kubelab(lab, "node", "start", "node-1")
        eventually(lambda: node_is_ready(core, "node-1"), "the node is Ready again")
        eventually(lambda: before not in containers(core), "what ran there is gone")


def test_a_node_that_is_cut_off_works_on_and_obeys_when_it_is_back(lab):
    with api(lab) as core:
        (before,) = containers(core)
        pid = component(lab, "node-1")["pid"]
        assert kubelab(lab, "node", "cut", "node-1").stdout == "node-1 is cut off\n"
        assert component(lab, "node-1")["state"] == "cut"
        eventually(lambda: not node_is_ready(core, "node-1"), "the node is NotReady", deadline=30)
        conditions = {each.type: each for each in core.read_node("node-1").status.conditions}
        assert (conditions["Ready"].status, conditions["Ready"].reason) == ("Unknown", "NodeStatusUnknown")
        # Its grace period is 0, so the API server forgets it without waiting for a kubelet.
        eventually(lambda: not core.list_namespaced_pod("default").items, "the pod is evicted", deadline=30)
        assert state_in_runtime(lab, before) == "CONTAINER_RUNNING"  # nobody could tell the kubelet
        assert component(lab, "node-1")["pid"] == pid
        assert kubelab(lab, "node", "heal", "node-1").stdout == "node-1 is back\n"
        eventually(lambda: node_is_ready(core, "node-1"), "the node is Ready again")
        eventually(lambda: not state_in_runtime(lab, before), "the container is gone", deadline=30)


def state_in_runtime(home, container_id):
    """The container's state, "" where the runtime has none of that ID."""

    async def ask():
        async with RuntimeClient(home.runtime_socket) as runtime:
            found = {each.id: each.state for each in await runtime.list_containers()}
            return str(found.get(container_id.partition("://")[2], ""))

    return asyncio.run(ask())


def test_state_of_another_level_is_refused_with_the_next_step(lab):
    level = status(lab)["level"]
    other = "process" if level == "namespaces" else "namespaces"
    if other not in levels_here():
        pytest.skip(f"the level {other} does not work here")
    kubelab(lab, "down")
    done = kubelab(lab, "up", check=False, KUBELAB_RUNTIME=other)
    assert done.returncode == 1
    assert f"made at runtime level {level}, and this start found {other}" in done.stderr
    assert f"KUBELAB_RUNTIME={level}" in done.stderr
    assert left_over(lab) == []
    doctor = json.loads(kubelab(lab, "doctor", "--json", check=False, KUBELAB_RUNTIME=other).stdout)
    (refused,) = (each for each in doctor if each["text"].endswith("it is refused"))
    assert f"KUBELAB_RUNTIME={level}" in refused["advice"]
    kubelab(lab, "up", KUBELAB_RUNTIME=level)
    assert status(lab)["level"] == level


def test_up_twice_at_once_makes_one_set(home):
    command = [sys.executable, "-m", "kubelab.cli", "up"]
    both = [subprocess.Popen(command, env={**os.environ, "KUBELAB_HOME": str(home.path)}) for _ in range(2)]
    try:
        assert [process.wait(60) for process in both] == [0, 0]
        supervisors = [command for _, command in processes_of(home) if "kubelab.supervisor" in command]
        assert len(supervisors) == 2  # the guard and the supervisor
    finally:
        kubelab(home, "down")
    assert left_over(home) == []


def test_doctor_and_status_of_running_engines(engines):
    found = {each["topic"]: each for each in json.loads(kubelab(engines, "doctor", "--json").stdout)}
    assert found["Kubernetes API"]["text"].startswith("v1.33")
    assert found["Docker API"]["text"].startswith("1.44")
    assert found["profile"]["text"] == "class"
    assert found["runtime level"]["text"].startswith(status(engines)["level"])
    assert [each["name"] for each in status(engines)["components"] if each["state"] != "ready"] == []


def test_a_second_up_changes_nothing(engines):
    before = {each["name"]: each["pid"] for each in status(engines)["components"]}
    kubelab(engines, "up", "--profile", "class")
    assert {each["name"]: each["pid"] for each in status(engines)["components"]} == before


def test_sockets_and_kubeconfig_are_the_owner_s(engines):
    for path in (engines.kubeconfig, engines.supervisor_socket, engines.docker_socket, engines.runtime_socket):
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_supervisor_refuses_what_it_does_not_know(engines):
    for arguments, reason in {
        ("node", "stop", "node-7"): "no node 'node-7'; there are: node-1, node-2",
        ("restart", "scheduler"): "no component 'scheduler'",
    }.items():
        done = kubelab(engines, *arguments, check=False)
        assert done.returncode == 1
        assert reason in done.stderr
