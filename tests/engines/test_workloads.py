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
