"""kubectl and the Python client on DaemonSets, Jobs and CronJobs: protobuf bodies, columns, deletion's defaults."""

from __future__ import annotations

import kubernetes
import pytest

from .conftest import Cluster
from .test_api_kubectl import run

pytestmark = pytest.mark.requires("kubectl")


def batch(cluster: Cluster) -> kubernetes.client.BatchV1Api:
    return kubernetes.client.BatchV1Api(cluster.client)


def test_create_job_and_cronjob_send_protobuf(cluster: Cluster, namespace: str):
    run(cluster, namespace, "create", "job", "once", "--image=x", "--", "echo", "hello")
    run(cluster, namespace, "create", "cronjob", "often", "--image=x", "--schedule=*/5 * * * *", "--restart=Never")
    run(cluster, namespace, "create", "job", "now", "--from=cronjob/often")
    once = batch(cluster).read_namespaced_job("once", namespace)
    assert once.spec.template.spec.containers[0].command == ["echo", "hello"]
    assert once.spec.template.spec.restart_policy == "Never"
    assert (once.spec.completions, once.spec.backoff_limit) == (1, 6)
    often = batch(cluster).read_namespaced_cron_job("often", namespace)
    assert (often.spec.schedule, often.spec.job_template.spec.template.spec.containers[0].image) == ("*/5 * * * *", "x")
    now = batch(cluster).read_namespaced_job("now", namespace)
    assert now.metadata.annotations == {"cronjob.kubernetes.io/instantiate": "manual"}
    assert now.metadata.owner_references[0].name == "often"


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_upstreams_columns(cluster: Cluster, namespace: str):
    run(cluster, namespace, "create", "job", "once", "--image=x")
    run(cluster, namespace, "create", "cronjob", "often", "--image=x", "--schedule=@daily")
    (once,) = run(cluster, namespace, "get", "jobs", "--no-headers").splitlines()
    assert once.split()[:3] == ["once", "Running", "0/1"]
    header, often = run(cluster, namespace, "get", "cj").splitlines()
    assert header.split() == ["NAME", "SCHEDULE", "TIMEZONE", "SUSPEND", "ACTIVE", "LAST", "SCHEDULE", "AGE"]
    assert often.split()[:6] == ["often", "@daily", "<none>", "False", "0", "<none>"]
    listed = run(cluster, namespace, "get", "all", "-o", "name").split()
    assert listed == ["cronjob.batch/often", "job.batch/once"]


def test_deleting_a_job_without_a_policy_warns(cluster: Cluster, namespace: str):
    for name in ("first", "second"):
        run(cluster, namespace, "create", "job", name, "--image=x")
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    code, headers, job = cluster.request("DELETE", f"{path}/first")
    assert (code, job["metadata"]["finalizers"]) == (200, ["orphan"])
    assert "child pods are preserved by default when jobs are deleted" in headers["Warning"]
    code, headers, answer = cluster.request("DELETE", f"{path}/second?propagationPolicy=Background")
    assert (code, answer["status"], headers["Warning"]) == (200, "Success", None)


def test_jobs_are_selected_by_their_successes(cluster: Cluster, namespace: str):
    for name in ("idle", "done"):
        run(cluster, namespace, "create", "job", name, "--image=x")
    batch(cluster).patch_namespaced_job_status("done", namespace, {"status": {"succeeded": 1}})
    found = batch(cluster).list_namespaced_job(namespace, field_selector="status.successful=1").items
    assert [job.metadata.name for job in found] == ["done"]


def test_explain_and_edit_a_daemonset(cluster: Cluster, namespace: str):
    assert "maxSurge\t<IntOrString>" in run(cluster, namespace, "explain", "ds.spec.updateStrategy.rollingUpdate")
    assert "startingDeadlineSeconds\t<integer>" in run(cluster, namespace, "explain", "cronjob.spec")
    manifest = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: x}]}
"""
    for words in ("created", "unchanged"):
        assert run(cluster, namespace, "apply", "-f", "-", stdin=manifest) == f"daemonset.apps/agent {words}\n"
    run(cluster, namespace, "set", "resources", "ds/agent", "--requests=cpu=10m")
    agent = cluster.apps.read_namespaced_daemon_set("agent", namespace)
    assert agent.spec.template.spec.containers[0].resources.requests == {"cpu": "10m"}
    assert agent.metadata.annotations["deprecated.daemonset.template.generation"] == "2"
