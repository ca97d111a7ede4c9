"""What becomes of a pod on its node: upstream's test/e2e/common/node/*.go and test/e2e/node/*.go."""

from __future__ import annotations

import re
from typing import Any

import pytest

from harness import eventually

from .conftest import BATCH, CORE, POD, Bench, Object, Refused, python, server, shell


def state(pod: Object, container: int = 0, kind: str = "containerStatuses") -> Object:
    return pod["status"][kind][container]


SCRATCH = [{"name": "v", "emptyDir": {}}]


# runtime.go, init_container.go, kubelet.go: ends, messages, logs


@pytest.mark.conformance(
    "[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected "
    "status"
)
@pytest.mark.parametrize(
    ("policy", "code", "phase", "restarts"),
    [
        ("Always", 0, "Running", 2),
        ("OnFailure", 1, "Running", 2),
        ("OnFailure", 0, "Succeeded", 0),
        ("Never", 1, "Failed", 0),
    ],
)
def test_restart_policy(bench: Bench, policy: str, code: int, phase: str, restarts: int):
    mounts = [{"name": "v", "mountPath": "/restart-count"}]
    script = f"echo x >>/restart-count/f; [ $(wc -l </restart-count/f) -ge 3 ] && sleep 1000; exit {code}"
    bench.pod("ends", shell(script, volumeMounts=mounts), volumes=SCRATCH, restartPolicy=policy)

    def done(pod: Object) -> bool:
        statuses = pod["status"].get("containerStatuses")
        return pod["status"]["phase"] == phase and bool(statuses) and statuses[0]["restartCount"] == restarts

    pod = bench.until(POD + "ends", done, f"{phase} after {restarts} restarts", 90)
    ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"]
    if phase != "Running":
        assert (ready, list(state(pod)["state"])) == ("False", ["terminated"])
        assert state(pod)["state"]["terminated"]["reason"] == ("Completed" if code == 0 else "Error")


TERMINATION = "[sig-node] Container Runtime blackbox test on terminated container should report termination message"


@pytest.mark.conformance(
    f"{TERMINATION} if TerminationMessagePath is set as non-root user and at a non-default path",
    f"{TERMINATION} from log output if TerminationMessagePolicy FallbackToLogsOnError is set",
    f"{TERMINATION} as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
    f"{TERMINATION} from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set",
)
@pytest.mark.parametrize(
    ("script", "fields", "message"),
    [
        (
            "printf DONE >/dev/termination-custom-log",
            {"terminationMessagePath": "/dev/termination-custom-log", "securityContext": {"runAsUser": 1000}},
            "DONE",
        ),
        ("printf DONE; exit 1", {"terminationMessagePolicy": "FallbackToLogsOnError"}, "DONE"),
        ("printf DONE", {"terminationMessagePolicy": "FallbackToLogsOnError"}, ""),
        ("printf OK >/dev/termination-log", {"terminationMessagePolicy": "FallbackToLogsOnError"}, "OK"),
    ],
    ids=["custom path, non-root", "log of a failure", "empty", "file"],
)
def test_termination_message(bench: Bench, script: str, fields: Object, message: str):
    bench.pod("ends", shell(script, **fields), restartPolicy="Never")
    assert state(bench.phase("ends", "Succeeded", "Failed"))["state"]["terminated"].get("message", "") == message


@pytest.mark.conformance(
    "[sig-node] InitContainer should invoke init containers on a RestartNever pod",
    "[sig-node] InitContainer should invoke init containers on a RestartAlways pod",
)
@pytest.mark.parametrize("policy", ["Never", "Always"])
def test_init_containers(bench: Bench, policy: str):
    app = shell("true" if policy == "Never" else "sleep 1000")
    bench.pod("starts", app, restartPolicy=policy, initContainers=[shell("true", "init1"), shell("true", "init2")])
    pod = bench.phase("starts", "Succeeded") if policy == "Never" else bench.ready("starts")
    found = [
        (s["name"], s["ready"], s["state"]["terminated"]["exitCode"]) for s in pod["status"]["initContainerStatuses"]
    ]
    assert found == [("init1", True, 0), ("init2", True, 0)]
    assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Initialized"] == "True"


@pytest.mark.conformance(
    "[sig-node] InitContainer should not start app containers if init containers fail on a RestartAlways pod",
    "[sig-node] InitContainer should not start app containers and fail the pod if init containers fail on a "
    "RestartNever pod",
)
@pytest.mark.parametrize("policy", ["Never", "Always"])
def test_init_containers_that_fail(bench: Bench, policy: str):
    inits = [shell("false", "init1"), shell("true", "init2")]
    bench.pod("fails", shell("sleep 1000"), restartPolicy=policy, initContainers=inits)
    if policy == "Never":
        pod = bench.phase("fails", "Failed")
        assert state(pod, 0, "initContainerStatuses")["state"]["terminated"]["exitCode"] == 1
    else:
        path = POD + "fails"
        pod = bench.until(path, lambda p: _init_restarts(p) >= 3, "init1 was started thrice again", 100)
        assert pod["status"]["phase"] == "Pending"
    assert state(pod, 1, "initContainerStatuses")["state"]["waiting"]["reason"] == "PodInitializing"
    assert state(pod)["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = next(c for c in pod["status"]["conditions"] if c["type"] == "Initialized")
    assert (initialized["status"], initialized["reason"]) == ("False", "ContainersNotInitialized")
    assert initialized["message"] == "containers with incomplete status: [init1 init2]"


def _init_restarts(pod: Object) -> int:
    return (pod["status"].get("initContainerStatuses") or [{}])[0].get("restartCount", 0)


@pytest.mark.conformance(
    "[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs"
)
def test_output_is_in_the_log(bench: Bench):
    assert bench.output("says", shell("echo Hello World; echo and stderr >&2")) == "Hello World\nand stderr\n"


@pytest.mark.conformance(
    "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason",
    "[sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete",
)
def test_a_pod_that_always_fails(bench: Bench):
    bench.pod("fails", shell("", command=["false"]), restartPolicy="Always")

    def ended(pod: Object) -> Any:
        found = (pod["status"].get("containerStatuses") or [{}])[0]
        return {**found.get("lastState", {}), **found.get("state", {})}.get("terminated")

    terminated = ended(bench.until(POD + "fails", ended, "has ended"))
    assert (terminated["exitCode"], terminated["reason"]) == (1, "Error")
    assert terminated["containerID"] and terminated["startedAt"] and terminated["finishedAt"]
    bench.delete(POD + "fails")
    bench.gone(POD + "fails")


@pytest.mark.conformance(
    "[sig-node] Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts",
    "[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file",
)
def test_etc_hosts(bench: Bench):
    aliases = [{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]
    said = bench.output("reads", shell("cat /etc/hosts"), hostAliases=aliases)
    assert said.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert said.endswith("\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n")
    assert re.search(r"(?m)^\d+\.\d+\.\d+\.\d+\treads$", said)
    bench.create(CORE + "configmaps", {"metadata": {"name": "hosts"}, "data": {"hosts": "127.0.0.1 own\n"}})
    mounts = [{"name": "v", "mountPath": "/etc/hosts", "subPath": "hosts"}]
    volume = {"name": "v", "configMap": {"name": "hosts"}}
    assert bench.output("own", shell("cat /etc/hosts", volumeMounts=mounts), volumes=[volume]) == "127.0.0.1 own\n"


# security_context.go, sysctl.go


@pytest.mark.conformance(
    "[sig-node] Security Context When creating a container with runAsUser should run the container with uid 65534",
    "[sig-node] Security Context should support container.SecurityContext.RunAsUser And "
    "container.SecurityContext.RunAsGroup [LinuxOnly]",
    "[sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And "
    "pod.Spec.SecurityContext.RunAsGroup [LinuxOnly]",
    "[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege "
    "escalation when false",
)
@pytest.mark.parametrize(
    ("container", "pod", "told"),
    [
        ({"runAsUser": 65534}, {}, "65534 "),
        ({"runAsUser": 1001, "runAsGroup": 2002}, {}, "1001 2002 "),
        ({}, {"runAsUser": 1001, "runAsGroup": 2002}, "1001 2002 "),
        ({"runAsUser": 1000, "allowPrivilegeEscalation": False}, {}, "1000 0 1"),
    ],
    ids=["uid 65534", "container", "pod", "no privilege escalation"],
)
def test_security_context(bench: Bench, container: Object, pod: Object, told: str):
    code = """
import os
print(os.getuid(), os.getgid(), next(l.split()[1] for l in open("/proc/self/status") if l.startswith("NoNewPrivs")))
"""
    runs = python(code, securityContext=container)
    assert bench.output("runs", runs, securityContext=pod).startswith(told)


@pytest.mark.conformance(
    "[sig-node] Security Context When creating a pod with readOnlyRootFilesystem should run the container with "
    "writable rootfs when readOnlyRootFilesystem=false",
    "[sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem [LinuxOnly]",
    "[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when "
    "false",
)
@pytest.mark.parametrize("read_only", [False, True])
def test_root_filesystem(bench: Bench, read_only: bool):
    limited = {"readOnlyRootFilesystem": read_only, "privileged": False}
    script = "(echo checking >/file) 2>/dev/null && echo written || echo refused"
    said = bench.output("writes", shell(script, securityContext=limited))
    assert said == ("refused\n" if read_only else "written\n")


@pytest.mark.conformance("[sig-node] Sysctls [LinuxOnly] should reject invalid sysctls [MinimumKubeletVersion:1.21]")
def test_invalid_sysctls(bench: Bench):
    sysctls = [{"name": n, "value": "bar"} for n in ("foo-", "kernel.shmmax", "safe-and-unsafe", "bar..")]
    with pytest.raises(Refused) as refused:
        bench.pod("no", shell("true"), securityContext={"sysctls": sysctls})
    message = refused.value.status["message"]
    assert 'Invalid value: "foo-"' in message and 'Invalid value: "bar.."' in message
    assert "safe-and-unsafe" not in message and "kernel.shmmax" not in message


# pods.go, ephemeral_containers.go, runtimeclass.go, pre_stop.go, lifecycle_hook.go


@pytest.mark.conformance("[sig-node] Pods should be submitted and removed")
def test_submitted_and_removed(bench: Bench):
    mine = {"labelSelector": "app=lives"}
    start = bench.get(POD.rstrip("/"), **mine)["metadata"]["resourceVersion"]
    with bench.watching(POD.rstrip("/"), resourceVersion=start, **mine) as seen:
        bench.pod("lives", shell("trap : TERM; sleep 1000 & wait"))
        bench.ready("lives")
        deleted = bench.delete(POD + "lives", gracePeriodSeconds=30)
        assert deleted["metadata"]["deletionGracePeriodSeconds"] == 30 and deleted["metadata"]["deletionTimestamp"]
        eventually(lambda: seen and seen[-1][0] == "DELETED", "a DELETED event")
    assert seen[0][0] == "ADDED"
    assert seen[-1][1]["metadata"]["deletionTimestamp"] and seen[-1][1]["spec"]["containers"]
    assert bench.get(POD.rstrip("/"), **mine)["items"] == []


@pytest.mark.conformance(
    "[sig-node] Pods should be updated", "[sig-node] Pods should run through the lifecycle of Pods and PodStatus"
)
def test_updated(bench: Bench):
    bench.pod("lives", shell("sleep 1000"), labels={"time": "1"})
    bench.ready("lives")
    bench.patch(POD + "lives", {"metadata": {"labels": {"time": "2"}}})
    found = bench.get(POD.rstrip("/"), labelSelector="time=2")["items"]
    assert [p["metadata"]["name"] for p in found] == ["lives"]
    assert bench.get(POD.rstrip("/"), labelSelector="time=1")["items"] == []
    with pytest.raises(Refused) as refused:
        bench.patch(POD + "lives", {"spec": {"nodeName": "another"}})
    assert refused.value.status["reason"] == "Invalid"
    assert "pod updates may not change fields other than" in refused.value.status["message"]


@pytest.mark.conformance("[sig-node] Pods should allow activeDeadlineSeconds to be updated")
def test_active_deadline(bench: Bench):
    bench.pod("ends", shell("sleep 1000"))
    bench.ready("ends")
    bench.patch(POD + "ends", {"spec": {"activeDeadlineSeconds": 1}})
    status = bench.phase("ends", "Failed")["status"]
    assert (status["reason"], status["message"]) == (
        "DeadlineExceeded",
        "Pod was active on the node longer than the specified deadline",
    )


@pytest.mark.conformance(
    "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for "
    "memory and cpu"
)
@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}}, "Guaranteed"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_quality_of_service(bench: Bench, resources: Object, quality: str):
    assert bench.pod("is", shell("true", resources=resources))["status"]["qosClass"] == quality


@pytest.mark.conformance(
    "[sig-node] Ephemeral Containers will start an ephemeral container in an existing pod",
    "[sig-node] Ephemeral Containers should update the ephemeral containers in an existing pod",
)
def test_ephemeral_containers(bench: Bench):
    bench.pod("lives", shell("sleep 1000"))
    bench.ready("lives")
    for number, name in enumerate(("debugger", "debugger2"), 1):
        more = {"targetContainerName": "c", "stdin": True, "tty": True}
        one = {**shell("while sleep 0.2; do echo polo; done", name), **more}
        change = {"spec": {"ephemeralContainers": [one]}}
        changed = bench.patch(POD + "lives/ephemeralcontainers", change, "application/strategic-merge-patch+json")
        assert len(changed["spec"]["ephemeralContainers"]) == number

        def runs(pod: Object, name: str = name) -> bool:
            found = pod["status"].get("ephemeralContainerStatuses") or []
            return any(s["name"] == name and "running" in s["state"] for s in found)

        bench.until(POD + "lives", runs, f"{name} runs")
        bench.logged("lives", "polo", container=name)


@pytest.mark.conformance(
    "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass",
    "[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass",
)
def test_a_runtime_class_that_is_not_there(bench: Bench):
    with pytest.raises(Refused) as refused:
        bench.pod("no", shell("true"), runtimeClassName="nonexistent")
    assert refused.value.code == 403
    assert refused.value.status["message"] == (
        'pods "no" is forbidden: pod rejected: RuntimeClass "nonexistent" not found'
    )


HOOKS = "[sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute"


@pytest.mark.conformance(
    *(f"{HOOKS} {when} {how} hook properly" for when in ("poststart", "prestop") for how in ("exec", "http")),
    "[sig-node] PreStop should call prestop when killing a pod",
)
@pytest.mark.parametrize("when", ["postStart", "preStop"])
@pytest.mark.parametrize("how", ["exec", "httpGet"])
def test_hooks(bench: Bench, when: str, how: str):
    bench.pod("hears", server())
    ip = bench.ready("hears")["status"]["podIP"]
    code = f"import urllib.request; urllib.request.urlopen('http://{ip}:8080/echo?{when}')"
    headers = [{"name": "X-Hook", "value": when}]
    action = {
        "exec": {"command": ["python3", "-c", code]},
        "httpGet": {"host": ip, "port": 8080, "path": f"/echo?{when}", "httpHeaders": headers},
    }[how]
    bench.pod("hooked", shell("sleep 1000", lifecycle={when: {how: action}}), terminationGracePeriodSeconds=15)
    bench.ready("hooked")
    if when == "preStop":
        assert "asked" not in bench.log("hears")
        bench.delete(POD + "hooked")
    bench.logged("hears", f"asked /echo?{when}")


# apps/job.go, in what needs a node


@pytest.mark.conformance(
    "[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted",
    "[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname",
)
def test_jobs_that_run(bench: Bench):
    mounts = [{"name": "v", "mountPath": "/data"}]
    once = shell("[ -r /data/foo ] && exit 0; touch /data/foo; exit 1", volumeMounts=mounts)
    spec = {"restartPolicy": "OnFailure", "containers": [once], "volumes": SCRATCH}
    two = {"completions": 2, "parallelism": 2}
    bench.create(BATCH + "jobs", {"metadata": {"name": "some"}, "spec": {**two, "template": {"spec": spec}}})
    shows = shell('echo "$JOB_COMPLETION_INDEX $(cat /etc/hostname)"')
    indexed = {**two, "completionMode": "Indexed"}
    template = {"spec": {"restartPolicy": "Never", "containers": [shows]}}
    bench.create(BATCH + "jobs", {"metadata": {"name": "indexed"}, "spec": {**indexed, "template": template}})
    for name in ("some", "indexed"):
        done = bench.until(BATCH + "jobs/" + name, _complete, "is complete", 60)
        assert (done["status"]["succeeded"], done["status"].get("failed", 0)) == (2, 0)
    pods = bench.get(POD.rstrip("/"), labelSelector="batch.kubernetes.io/job-name=indexed")["items"]
    indexes = {p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in pods}
    assert indexes == {"0", "1"}
    assert sorted(bench.log(p["metadata"]["name"]) for p in pods) == ["0 indexed-0\n", "1 indexed-1\n"]


def _complete(job: Object) -> bool:
    return any((c["type"], c["status"]) == ("Complete", "True") for c in job["status"].get("conditions", ()))
