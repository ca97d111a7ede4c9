"""The life of pods under a kubelet whose runtime and API server are in memory."""

from __future__ import annotations

import pytest

from kubelab.cluster.resources import CONFIGMAPS, PODS
from kubelab.runtime.api import ExecResult, SandboxState

from .builders import deleting, make_container, make_pod
from .conftest import Node

A = make_container()


async def test_a_pod_becomes_ready(node: Node) -> None:
    await node.create(make_pod())
    assert node.status["phase"] == "Running"
    assert node.status["podIP"] == "10.244.1.5"
    assert node.status["hostIP"] == "172.31.0.11"
    assert node.status["startTime"] == "2026-01-01T00:00:00Z"
    told = node.container()
    assert (told["ready"], told["started"], told["restartCount"]) == (True, True, 0)
    assert told["containerID"].startswith("kubelab://") and told["imageID"].startswith("sha256:")
    assert {c["type"]: c["status"] for c in node.status["conditions"]} == dict.fromkeys(
        ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"), "True"
    )


async def test_first_it_waits_then_it_runs(node: Node) -> None:
    await node.create(make_pod())
    first = node.api.statuses[0]
    assert first["phase"] == "Pending"
    assert first["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    ready = next(c for c in first["conditions"] if c["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("ContainersNotReady", "containers with unready status: [app]")


async def test_the_events_of_a_start(node: Node) -> None:
    await node.create(make_pod())
    assert node.messages("Pulled") == ['Container image "kubelab/python" already present on machine']
    assert node.messages("Created") == ["Created container: app"]
    assert node.messages("Started") == ["Started container app"]
    event = node.api.events("Started")[0]
    assert event["involvedObject"]["fieldPath"] == "spec.containers{app}"
    assert (event["source"]["component"], event["source"]["host"]) == ("kubelet", "node-1")


async def test_crash_loop_back_off(node: Node) -> None:
    await node.create(make_pod())
    node.runtime.exit("app", 1, "Error")
    await node.settle()
    assert (node.container()["restartCount"], node.status["phase"]) == (1, "Running")  # the first restart is at once
    node.runtime.exit("app", 1, "Error")
    await node.settle()
    told = node.container()
    assert told["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=app pod=p_ns(uid-1)",
    }
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert node.messages("BackOff") == ["Back-off restarting failed container app in pod p_ns(uid-1)"]
    assert node.condition("Ready")["status"] == "False"
    await node.advance(9.5)
    assert node.container()["restartCount"] == 1
    await node.advance(1)
    assert (node.container()["restartCount"], "running" in node.container()["state"]) == (2, True)
    node.runtime.exit("app", 1, "Error")
    await node.settle()
    assert node.container()["state"]["waiting"]["message"].startswith("back-off 20s ")


async def test_only_the_last_two_attempts_are_kept(node: Node) -> None:
    await node.create(make_pod())
    for _ in range(4):
        node.runtime.exit("app", 1, "Error")
        await node.advance(90)
    assert [c.config.attempt for c in node.runtime.named("app")] == [3, 4]


@pytest.mark.parametrize(
    ("policy", "code", "phase", "reason"),
    [
        ("Never", 0, "Succeeded", "PodCompleted"),
        ("Never", 3, "Failed", "PodFailed"),
        ("OnFailure", 0, "Succeeded", "PodCompleted"),
    ],
)
async def test_a_pod_comes_to_its_end(node: Node, policy: str, code: int, phase: str, reason: str) -> None:
    await node.create(make_pod(restartPolicy=policy))
    node.runtime.exit("app", code)
    await node.settle()
    assert (node.status["phase"], node.condition("Ready")["reason"]) == (phase, reason)
    assert node.container()["state"]["terminated"]["exitCode"] == code
    assert {s.state for s in node.runtime.sandboxes.values()} == {SandboxState.NOTREADY}
    await node.delete()
    assert node.gone
    await node.settle()
    assert (node.runtime.sandboxes, node.runtime.containers) == ({}, {})


async def test_graceful_termination(node: Node) -> None:
    node.runtime.deaf = True
    await node.create(make_pod())
    await node.delete(grace=30)
    assert node.messages("Killing") == ["Stopping container app"]
    await node.advance(29)
    assert "running" in node.container()["state"]
    await node.advance(1.5)
    assert node.gone
    last = node.api.statuses[-1]
    assert last["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    assert last["phase"] == "Failed"
    assert list((node.folder / "node-1" / "pods").iterdir()) == []


async def test_a_shorter_grace_period_takes_over(node: Node) -> None:
    node.runtime.deaf = True
    await node.create(make_pod())
    await node.delete(grace=30)
    await node.advance(2)
    await node.delete(grace=1)
    await node.advance(1.5)
    assert node.gone


async def test_pre_stop_runs_within_the_grace_period(node: Node) -> None:
    hook = {"preStop": {"exec": {"command": ["bye"]}}}
    await node.create(make_pod(make_container(lifecycle=hook)))
    await node.delete()
    assert node.runtime.executed == [("app", ("bye",))]
    assert node.gone


async def test_a_failed_post_start_hook_kills_the_container(node: Node) -> None:
    node.runtime.exec_answers["hello",] = ExecResult(b"", b"no", 1)
    hook = {"postStart": {"exec": {"command": ["hello"]}}}
    await node.create(make_pod(make_container(lifecycle=hook)))
    assert node.messages("FailedPostStartHook")[0] == "PostStartHook failed"  # why is kept out of events
    assert "FailedPostStartHook" in node.messages("Killing")


async def test_a_pod_that_is_gone_from_the_api_is_stopped(node: Node) -> None:
    await node.create(make_pod())
    node.api.remove(PODS, "ns", "p")
    await node.settle()
    assert (node.runtime.sandboxes, node.runtime.containers) == ({}, {})


async def test_a_lost_sandbox_is_made_anew(node: Node) -> None:
    await node.create(make_pod())
    node.runtime.lose_sandbox()
    await node.advance(12)
    assert node.messages("SandboxChanged") == ["Pod sandbox changed, it will be killed and re-created."]
    assert (node.container()["restartCount"], node.status["phase"]) == (1, "Running")


async def test_the_next_kubelet_takes_over_what_runs(node: Node) -> None:
    await node.create(make_pod())
    before = node.container()
    await node.stop()
    await node.start()
    await node.advance(5)
    assert node.container() == before
    assert len(node.runtime.named("app")) == 1
    node.runtime.exit("app", 1)
    await node.settle()
    assert node.container()["restartCount"] == 1


async def test_the_next_kubelet_removes_what_nobody_wants(node: Node) -> None:
    await node.create(make_pod())
    await node.stop()
    node.api.remove(PODS, "ns", "p")
    await node.start()
    assert node.runtime.sandboxes == {}


async def test_the_next_kubelet_ends_what_was_deleted(node: Node) -> None:
    await node.create(make_pod())
    await node.stop()
    node.api.put(PODS, deleting(node.pod))
    await node.start()
    assert node.gone


async def test_init_containers_come_first(node: Node) -> None:
    await node.create(make_pod(A, init=[make_container("init")]))
    assert node.container("app")["state"]["waiting"]["reason"] == "PodInitializing"
    assert node.condition("Initialized")["message"] == "containers with incomplete status: [init]"
    node.runtime.exit("init", 0)
    await node.settle()
    assert (node.status["phase"], node.container("init")["ready"]) == ("Running", True)


async def test_active_deadline(node: Node) -> None:
    await node.create(make_pod(activeDeadlineSeconds=5))
    await node.advance(6)
    assert (node.status["phase"], node.status["reason"]) == ("Failed", "DeadlineExceeded")
    assert node.status["message"] == "Pod was active on the node longer than the specified deadline"


async def test_a_start_that_fails(node: Node) -> None:
    node.runtime.start_error = 'exec: "nope": executable file not found in $PATH'
    await node.create(make_pod())
    told = node.container()
    assert told["state"]["waiting"]["reason"] in ("RunContainerError", "CrashLoopBackOff")
    assert told["lastState"]["terminated"]["reason"] == "StartError"
    assert node.messages("Failed")[0] == f"Error: {node.runtime.start_error}"


async def test_an_absent_image(node: Node) -> None:
    await node.create(make_pod(make_container(image="shop:2")))
    assert node.container()["state"]["waiting"]["reason"] == "ErrImagePull"
    assert node.messages("Pulling") == ['Pulling image "shop:2"']
    assert "Error: ErrImagePull" in node.messages("Failed")
    node.add_image("shop:2")
    await node.advance(11)
    assert node.status["phase"] == "Running"


async def test_image_pull_back_off(node: Node) -> None:
    await node.create(make_pod(make_container(image="shop:2")))
    node.api.put(PODS, {**node.pod, "metadata": {**node.pod["metadata"], "labels": {"a": "b"}}})
    await node.settle()
    waiting = node.container()["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "shop:2": ErrImagePull: ')
    assert node.messages("BackOff") == ['Back-off pulling image "shop:2"']


@pytest.mark.parametrize(
    ("fields", "reason"),
    [({"image": "shop:2", "imagePullPolicy": "Never"}, "ErrImageNeverPull"), ({"image": "Shop"}, "InvalidImageName")],
)
async def test_images_that_never_come(node: Node, fields: dict, reason: str) -> None:
    await node.create(make_pod(make_container(**fields)))
    assert node.container()["state"]["waiting"]["reason"] == reason


async def test_a_missing_config_map(node: Node) -> None:
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "colours", "key": "c"}}}]
    await node.create(make_pod(make_container(env=env)))
    assert node.container()["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "colours" not found',
    }
    node.api.put(CONFIGMAPS, {"metadata": {"name": "colours", "namespace": "ns"}, "data": {"c": "blue"}})
    await node.advance(11)
    assert ("COLOUR", "blue") in node.runtime.named("app")[-1].config.env


async def test_a_volume_that_cannot_be_had_yet(node: Node) -> None:
    pod = make_pod(volumes=[{"name": "v", "configMap": {"name": "files"}}])
    await node.create(pod)
    assert node.messages("FailedMount") == ['MountVolume.SetUp failed for volume "v" : configmap "files" not found']
    assert node.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    node.api.put(CONFIGMAPS, {"metadata": {"name": "files", "namespace": "ns"}, "data": {"f": "text"}})
    await node.advance(11)
    assert node.status["phase"] == "Running"


async def test_a_pod_that_asks_for_the_hosts_network_is_refused(node: Node) -> None:
    await node.create(make_pod(hostNetwork=True))
    assert (node.status["phase"], node.status["reason"]) == ("Failed", "UnsupportedPodSpec")
    assert node.status["message"] == "Pod was rejected: spec.hostNetwork is not supported by this node"
    assert node.runtime.sandboxes == {}


async def test_a_failed_liveness_probe_restarts_the_container(node: Node) -> None:
    command = ("check",)
    probe = {"exec": {"command": list(command)}, "periodSeconds": 1, "failureThreshold": 2}
    await node.advance(2)  # a kubelet that just started spreads its probes
    await node.create(make_pod(make_container(livenessProbe=probe)))
    node.runtime.exec_answers[command] = ExecResult(b"", b"deadlock", 1)
    await node.advance(2)
    assert "Container app failed liveness probe, will be restarted" in node.messages("Killing")
    assert "Liveness probe failed: deadlock" in node.messages("Unhealthy")
    node.runtime.exec_answers[command] = ExecResult(b"", b"", 0)
    await node.advance(1)
    assert (node.container()["restartCount"], node.container()["ready"]) == (1, True)


async def test_a_readiness_probe_decides_about_ready(node: Node) -> None:
    command = ("check",)
    probe = {"exec": {"command": list(command)}, "periodSeconds": 1, "failureThreshold": 1}
    await node.advance(2)
    node.runtime.exec_answers[command] = ExecResult(b"", b"not yet", 1)
    await node.create(make_pod(make_container(readinessProbe=probe)))
    assert (node.status["phase"], node.condition("Ready")["status"]) == ("Running", "False")
    node.runtime.exec_answers[command] = ExecResult(b"", b"", 0)
    await node.advance(1)
    assert node.condition("Ready")["status"] == "True"
    assert node.container()["restartCount"] == 0


async def test_logs_and_exec_find_their_container(node: Node) -> None:
    assert node.kubelet is not None
    await node.create(make_pod())
    node.runtime.exit("app", 1, "Error")
    await node.settle()
    now = await node.kubelet.container("ns", "p", "app")
    before = await node.kubelet.container("ns", "p", "app", previous=True)
    assert (now.config.attempt, before.config.attempt) == (1, 0)
    assert now.config.log_path.endswith("/pods/ns_p_uid-1/app/1.log")
    with pytest.raises(KeyError, match='pod "q" cannot be found'):
        await node.kubelet.container("ns", "q", "app")


async def test_the_node_registers_itself(node: Node) -> None:
    assert node.node["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
    assert node.node["metadata"]["annotations"]["kubelab.dev/kubelet-endpoint"] == "127.0.0.1:10250"
    status = node.node["status"]
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"
    assert {a["type"]: a["address"] for a in status["addresses"]} == {"InternalIP": "172.31.0.11", "Hostname": "node-1"}
    assert status["nodeInfo"]["containerRuntimeVersion"].startswith("kubelab://")
    assert status["images"][0]["names"] == ["kubelab/python:latest"]


async def test_the_lease_is_renewed_every_quarter_of_its_duration(node: Node) -> None:
    key = ("leases", "kube-node-lease", "node-1")
    first = node.api.objects[key]
    assert first["spec"]["leaseDurationSeconds"] == 40
    assert first["metadata"]["ownerReferences"][0]["kind"] == "Node"
    await node.advance(10.5)
    assert node.api.objects[key]["spec"]["renewTime"] == "2026-01-01T00:00:10.000000Z"


async def test_a_volume_over_its_limit_evicts_the_pod(node: Node) -> None:
    await node.create(make_pod(volumes=[{"name": "v", "emptyDir": {"sizeLimit": "50Ki"}}]))
    await node.advance(11)
    assert node.status["phase"] == "Running"
    folder = node.folder / "node-1/pods/uid-1/volumes/kubernetes.io~empty-dir/v"
    (folder / "big").write_bytes(b"x" * 100_000)
    await node.advance(11)
    message = 'Usage of EmptyDir volume "v" exceeds the limit "50Ki". '
    assert (node.status["phase"], node.status["reason"], node.status["message"]) == ("Failed", "Evicted", message)
    assert node.messages("Evicted") == [message]
    assert node.condition("DisruptionTarget")["reason"] == "TerminationByKubelet"
