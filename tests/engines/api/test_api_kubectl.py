"""The unchanged kubectl against the API server: the commands that the course teaches and what they print."""

from __future__ import annotations

import json

import pytest

from .conftest import Cluster

pytestmark = pytest.mark.requires("kubectl")

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "kubelab/shop:1", ports: [{containerPort: 8080}]}
"""


def run(cluster: Cluster, namespace: str, *arguments: str, stdin: str = "") -> str:
    done = cluster.kubectl("-n", namespace, *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_apply_makes_changes_and_leaves_alone(cluster: Cluster, namespace: str):
    assert run(cluster, namespace, "apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web created\n"
    assert run(cluster, namespace, "apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web unchanged\n"
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace(", ports: [{containerPort: 8080}]", "")
    assert run(cluster, namespace, "apply", "-f", "-", stdin=changed) == "deployment.apps/web configured\n"
    spec = cluster.apps.read_namespaced_deployment("web", namespace).spec
    assert (spec.replicas, spec.template.spec.containers[0].ports) == (3, None)


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_get_prints_upstreams_columns(cluster: Cluster, namespace: str):
    run(cluster, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    run(cluster, namespace, "run", "web", "--image=kubelab/shop:1", "--port=8080")
    run(cluster, namespace, "expose", "pod", "web", "--port=80", "--target-port=8080", "--type=NodePort")
    headers = [
        run(cluster, namespace, "get", kind, "-o", "wide").splitlines()[0].split()
        for kind in ("deployments", "pods", "services")
    ]
    assert headers == [
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"],
        ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED", "NODE", "READINESS", "GATES"],
        ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR"],
    ]
    name, ready, status, restarts, _age = run(cluster, namespace, "get", "pods", "--no-headers").split()
    assert (name, ready, status, restarts) == ("web", "0/1", "Pending", "0")


def test_create_sends_protobuf_and_is_understood(cluster: Cluster, namespace: str):
    run(cluster, namespace, "create", "deployment", "d", "--image=x", "--replicas=0", "--port=80")
    run(cluster, namespace, "create", "configmap", "c", "--from-literal=a=b")
    run(cluster, namespace, "create", "secret", "generic", "s", "--from-literal=a=b")
    run(cluster, namespace, "create", "service", "nodeport", "n", "--tcp=80:http")
    run(cluster, namespace, "create", "serviceaccount", "robot")

    deployment = cluster.apps.read_namespaced_deployment("d", namespace).spec
    assert (deployment.replicas, deployment.selector.match_labels) == (0, {"app": "d"})
    assert deployment.template.spec.containers[0].ports[0].container_port == 80
    assert cluster.core.read_namespaced_config_map("c", namespace).data == {"a": "b"}
    port = cluster.core.read_namespaced_service("n", namespace).spec.ports[0]
    assert (port.port, port.target_port) == (80, "http")
    assert 30000 <= port.node_port <= 32767


def test_labels_annotations_scale_and_images(cluster: Cluster, namespace: str):
    run(cluster, namespace, "apply", "-f", "-", stdin=DEPLOYMENT)
    run(cluster, namespace, "label", "deployment", "web", "tier=front")
    run(cluster, namespace, "label", "deployment", "web", "tier-")
    run(cluster, namespace, "annotate", "deployment", "web", "note=hello")
    run(cluster, namespace, "scale", "deployment", "web", "--replicas=5", "--current-replicas=2")
    run(cluster, namespace, "set", "image", "deployment/web", "web=kubelab/shop:2")
    run(
        cluster,
        namespace,
        "patch",
        "deployment",
        "web",
        "--type=json",
        "-p",
        '[{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]',
    )
    web = cluster.apps.read_namespaced_deployment("web", namespace)
    assert web.metadata.labels == {"a": "b"}
    assert web.metadata.annotations["note"] == "hello"
    assert (web.spec.replicas, web.spec.template.spec.containers[0].image) == (5, "kubelab/shop:2")
    assert web.metadata.generation == 3


def test_explain_of_metrics(cluster: Cluster, namespace: str):
    said = run(cluster, namespace, "explain", "nodes", "--api-version=metrics.k8s.io/v1beta1")
    assert ("KIND:       NodeMetrics" in said, "What a node uses." in said) == (True, True)
    assert "usage\t<map[string]Quantity> -required-" in run(cluster, namespace, "explain", "podmetrics.containers")
    old = run(cluster, namespace, "explain", "podmetrics.containers", "--output=plaintext-openapiv2")
    assert "The container's name in the pod's spec." in old
    document = cluster.request("GET", "/openapi/v3/apis/metrics.k8s.io/v1beta1")[2]
    verbs = {path: sorted(operations) for path, operations in document["paths"].items()}
    assert verbs["/apis/metrics.k8s.io/v1beta1/nodes"] == ["get"]


def test_describe_explain_and_api_resources(cluster: Cluster, namespace: str):
    run(cluster, namespace, "run", "web", "--image=x")
    assert "Service Account:  default" in run(cluster, namespace, "describe", "pod", "web")
    assert "failureThreshold\t<integer>" in run(cluster, namespace, "explain", "pod.spec.containers.livenessProbe")
    listed = run(cluster, namespace, "api-resources", "--no-headers", "--cached=false")
    assert "deployments" in listed
    assert run(cluster, namespace, "get", "all", "-o", "name") == "pod/web\n"


def test_a_mistake_in_a_manifest_is_refused(cluster: Cluster, namespace: str):
    wrong = DEPLOYMENT.replace("containers:", "contaners:")
    done = cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=wrong)
    assert done.returncode == 1
    assert 'strict decoding error: unknown field "spec.template.spec.contaners"' in done.stderr


def test_delete_waits_until_it_is_gone(cluster: Cluster, namespace: str):
    run(cluster, namespace, "run", "web", "--image=x")
    deleted = run(cluster, namespace, "delete", "pod", "web")
    assert deleted.startswith('pod "web" deleted')
    assert run(cluster, namespace, "get", "pods", "-o", "name") == ""


def test_version_and_health(cluster: Cluster, namespace: str):
    version = json.loads(run(cluster, namespace, "version", "-o", "json"))
    assert version["serverVersion"]["gitVersion"] == "v1.33.0"
    assert run(cluster, namespace, "get", "--raw", "/readyz") == "ok"


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_server_side_apply_owns_sets_and_gives_up_fields(cluster: Cluster, namespace: str):
    applied = ("apply", "--server-side", "-f", "-")
    assert run(cluster, namespace, *applied, stdin=DEPLOYMENT) == "deployment.apps/web serverside-applied\n"
    before = cluster.apps.read_namespaced_deployment("web", namespace)
    run(cluster, namespace, *applied, stdin=DEPLOYMENT)
    again = cluster.apps.read_namespaced_deployment("web", namespace)
    assert again.metadata.resource_version == before.metadata.resource_version
    assert [entry.manager for entry in again.metadata.managed_fields] == ["kubectl"]

    without = DEPLOYMENT.replace(", ports: [{containerPort: 8080}]", "")
    run(cluster, namespace, *applied, stdin=without)
    container = cluster.apps.read_namespaced_deployment("web", namespace).spec.template.spec.containers[0]
    assert (container.ports, container.image_pull_policy) == (None, "IfNotPresent")

    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    more = without.replace("replicas: 2", "replicas: 5")
    refused = cluster.kubectl("-n", namespace, *other, stdin=more)
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas' in refused.stderr
    run(cluster, namespace, *other, "--force-conflicts", stdin=more)
    assert cluster.apps.read_namespaced_deployment("web", namespace).spec.replicas == 5
