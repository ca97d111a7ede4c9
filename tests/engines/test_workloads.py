"""DaemonSets, Jobs and CronJobs whole: real nodes, real processes, the unchanged kubectl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubelab.home import Home

pytestmark = [pytest.mark.requires("kubectl"), pytest.mark.timeout(180)]

Kubectl = Callable[..., str]
SHOW_INDEX = "import os, socket; print(os.environ['JOB_COMPLETION_INDEX'], socket.gethostname())"


def template(*command: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "kubelab/python", "imagePullPolicy": "IfNotPresent", "command": command}
    return {"metadata": {"labels": {"app": "agent"}}, "spec": {"containers": [container], **spec}}


def manifest(api: str, kind: str, name: str, **spec: Any) -> str:
    return json.dumps({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def kubectl(best_engines: Home) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""

    def run(*arguments: str, stdin: str = "") -> str:
        command = ["kubectl", "--kubeconfig", str(best_engines.kubeconfig), "-n", "workloads", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("create", "namespace", "workloads")
    yield run
    run("delete", "namespace", "workloads")


def test_an_indexed_job_runs_each_index_once(kubectl: Kubectl):
    run_once = template("python3", "-c", SHOW_INDEX, restartPolicy="Never")
    spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed", "template": run_once}
    kubectl("apply", "-f", "-", stdin=manifest("batch/v1", "Job", "work", **spec))
    kubectl("wait", "--for=condition=complete", "job/work", "--timeout=60s")
    assert sorted(kubectl("logs", "-l", "job-name=work").splitlines()) == ["0 work-0", "1 work-1", "2 work-2"]
    assert kubectl("get", "job", "work", "-o", "jsonpath={.status.completedIndexes}") == "0-2"


def test_a_job_past_its_deadline_leaves_no_pod(kubectl: Kubectl):
    slow = template("sleep", "1000", restartPolicy="OnFailure", terminationGracePeriodSeconds=1)
    spec = {"activeDeadlineSeconds": 2, "template": slow}
    kubectl("apply", "-f", "-", stdin=manifest("batch/v1", "Job", "slow", **spec))
    kubectl("wait", "--for=condition=failed", "job/slow", "--timeout=60s")
    assert kubectl("get", "pods", "-o", "name") == ""
    reason = kubectl("get", "job", "slow", "-o", "jsonpath={.status.conditions[*].reason}")
    assert reason == "DeadlineExceeded DeadlineExceeded"


def test_a_cronjob_started_by_hand(kubectl: Kubectl):
    say = ("--", "python3", "-c", "print('now')")
    image = ("--image=kubelab/python", "--schedule=0 0 29 2 *")
    kubectl("create", "cronjob", "rare", *image, *say)
    kubectl("create", "job", "now", "--from=cronjob/rare")
    kubectl("wait", "--for=condition=complete", "job/now", "--timeout=60s")
    assert kubectl("logs", "job/now") == "now\n"


def test_a_daemonset_rolls_over_the_nodes_and_back(kubectl: Kubectl):
    serve = template("python3", "-m", "http.server", terminationGracePeriodSeconds=1)
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": serve}
    kubectl("apply", "-f", "-", stdin=manifest("apps/v1", "DaemonSet", "agent", **spec))
    kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    nodes = kubectl("get", "pods", "-l", "app=agent", "-o", "jsonpath={.items[*].spec.nodeName}").split()
    assert sorted(nodes) == ["node-1", "node-2"]
    kubectl("set", "env", "daemonset/agent", "COLOUR=blue")
    kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    assert kubectl("exec", "daemonset/agent", "--", "printenv", "COLOUR") == "blue\n"
    assert kubectl("rollout", "undo", "daemonset/agent") == "daemonset.apps/agent rolled back\n"
    kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    history = kubectl("rollout", "history", "daemonset/agent").split()
    assert [word for word in history if word.isdigit()] == ["2", "3"]


def test_an_exit_code_decides_that_the_job_has_failed(kubectl: Kubectl):
    ends_with_42 = template("python3", "-c", "raise SystemExit(42)", restartPolicy="Never")
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}
    spec = {"backoffLimit": 6, "template": ends_with_42, "podFailurePolicy": {"rules": [rule]}}
    kubectl("apply", "-f", "-", stdin=manifest("batch/v1", "Job", "fatal", **spec))
    kubectl("wait", "--for=condition=failed", "job/fatal", "--timeout=60s")
    message = kubectl("get", "job", "fatal", "-o", 'jsonpath={.status.conditions[?(@.type=="Failed")].message}')
    assert message.endswith("failed with exit code 42 matching FailJob rule at index 0")
    assert kubectl("get", "job", "fatal", "-o", "jsonpath={.status.failed}") == "1"


def test_an_important_pod_takes_the_place_of_another(kubectl: Kubectl):
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    cpu = min(int(node["status"]["allocatable"]["cpu"].removesuffix("m")) for node in nodes)
    milli = cpu if "m" in nodes[0]["status"]["allocatable"]["cpu"] else cpu * 1000

    def sleeper(share: float) -> dict[str, Any]:
        made = template("sleep", "1000", terminationGracePeriodSeconds=1)
        made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": f"{int(milli * share)}m"}}
        return made

    spec = {"replicas": len(nodes), "selector": {"matchLabels": {"app": "agent"}}, "template": sleeper(0.7)}
    kubectl("apply", "-f", "-", stdin=manifest("apps/v1", "Deployment", "low", **spec))
    kubectl("rollout", "status", "deployment/low", "--timeout=60s")
    kubectl("create", "priorityclass", "vip", "--value=1000")
    try:
        spec = {**sleeper(0.5)["spec"], "priorityClassName": "vip"}
        kubectl("apply", "-f", "-", stdin=manifest("v1", "Pod", "vip", **spec))
        kubectl("wait", "--for=condition=Ready", "pod/vip", "--timeout=60s")
        uid = kubectl("get", "pod", "vip", "-o", "jsonpath={.metadata.uid}")
        told = kubectl("get", "events", "--field-selector=reason=Preempted", "-o", "jsonpath={.items[*].message}")
        assert told.startswith(f"Preempted by pod {uid} on node ")
        waiting = kubectl("get", "pods", "-l", "app=agent", "--field-selector=status.phase=Pending", "-o", "json")
        (left_over,) = json.loads(waiting)["items"]
        (scheduled,) = [c for c in left_over["status"]["conditions"] if c["type"] == "PodScheduled"]
        assert f"{len(nodes)} No preemption victims found for incoming pod" in scheduled["message"]
    finally:
        kubectl("delete", "priorityclass", "vip")
