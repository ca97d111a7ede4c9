"""Reading and writing objects, as the unchanged Python client does it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import pytest
from kubernetes import client, watch
from kubernetes.client.rest import ApiException

from .conftest import Cluster


def pod(name: str = "web", **spec) -> dict:
    containers = [{"name": "c", "image": "kubelab/shop:1"}]
    return {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": containers, **spec}}


def status_of(error: pytest.ExceptionInfo[ApiException]) -> dict:
    return json.loads(error.value.body)


def test_a_created_pod_has_upstreams_defaults(cluster: Cluster, namespace: str):
    created = cluster.core.create_namespaced_pod(namespace, pod())

    assert created.status.phase == "Pending"
    assert created.status.qos_class == "BestEffort"
    assert created.spec.restart_policy == "Always"
    assert created.spec.service_account_name == "default"
    assert created.spec.termination_grace_period_seconds == 30
    assert created.spec.containers[0].image_pull_policy == "IfNotPresent"
    assert [(t.key, t.toleration_seconds) for t in created.spec.tolerations] == [
        ("node.kubernetes.io/not-ready", 300),
        ("node.kubernetes.io/unreachable", 300),
    ]


def test_an_object_made_twice_is_a_conflict(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod())
    with pytest.raises(ApiException) as error:
        cluster.core.create_namespaced_pod(namespace, pod())

    assert status_of(error) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'pods "web" already exists',
        "reason": "AlreadyExists",
        "details": {"name": "web", "kind": "pods"},
        "code": 409,
    }


def test_what_is_not_there_is_not_found(cluster: Cluster, namespace: str):
    with pytest.raises(ApiException) as error:
        cluster.apps.read_namespaced_replica_set("x", namespace)
    assert error.value.status == 404
    assert status_of(error)["message"] == 'replicasets.apps "x" not found'


def test_an_update_of_an_old_version_is_refused(cluster: Cluster, namespace: str):
    created = cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": "c"}, "data": {"a": "1"}})
    cluster.core.patch_namespaced_config_map("c", namespace, {"data": {"a": "2"}})
    created.data = {"a": "3"}
    with pytest.raises(ApiException) as error:
        cluster.core.replace_namespaced_config_map("c", namespace, created)
    assert status_of(error)["message"] == (
        'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes to'
        " the latest version and try again"
    )


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_an_update_without_effect_keeps_the_version(cluster: Cluster, namespace: str):
    created = cluster.core.create_namespaced_pod(namespace, pod())
    again = cluster.core.replace_namespaced_pod("web", namespace, created)
    assert again.metadata.resource_version == created.metadata.resource_version


def test_generation_counts_changes_of_the_spec_only(cluster: Cluster, namespace: str):
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    cluster.apps.create_namespaced_replica_set(namespace, {"metadata": {"name": "web"}, "spec": spec})
    labelled = cluster.apps.patch_namespaced_replica_set("web", namespace, {"metadata": {"labels": {"x": "y"}}})
    scaled = cluster.apps.patch_namespaced_replica_set_scale("web", namespace, {"spec": {"replicas": 3}})
    changed = cluster.apps.read_namespaced_replica_set("web", namespace)

    assert labelled.metadata.generation == 1
    assert (scaled.spec.replicas, scaled.status.selector) == (3, "app=web")
    assert (changed.spec.replicas, changed.metadata.generation) == (3, 2)


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_a_status_update_leaves_the_spec_and_the_other_way_round(cluster: Cluster, namespace: str):
    created = cluster.core.create_namespaced_pod(namespace, pod())
    created.spec.containers[0].image = "other"
    created.status.pod_ip = "10.244.1.7"
    updated = cluster.core.replace_namespaced_pod_status("web", namespace, created)
    assert (updated.status.pod_ip, updated.spec.containers[0].image) == ("10.244.1.7", "kubelab/shop:1")

    updated.spec.containers[0].image, updated.status.pod_ip = "other", "10.0.0.1"
    updated = cluster.core.replace_namespaced_pod("web", namespace, updated)
    assert (updated.status.pod_ip, updated.spec.containers[0].image) == ("10.244.1.7", "other")


def test_a_generated_name_ends_in_five_letters(cluster: Cluster, namespace: str):
    made = [pod() | {"metadata": {"generateName": "web-"}} for _ in range(3)]
    names = {cluster.core.create_namespaced_pod(namespace, p).metadata.name for p in made}
    assert len(names) == 3
    assert all(len(name) == len("web-") + 5 for name in names)


def test_lists_select_by_labels_and_fields(cluster: Cluster, namespace: str):
    for name in ("a", "b", "c"):
        cluster.core.create_namespaced_pod(namespace, pod(name))

    def names(**selectors: str) -> list[str]:
        return [p.metadata.name for p in cluster.core.list_namespaced_pod(namespace, **selectors).items]

    assert names(label_selector="app=a") == ["a"]
    assert names(label_selector="app in (a, c)") == ["a", "c"]
    assert names(label_selector="app notin (a),app") == ["b", "c"]
    assert names(label_selector="!app") == []
    assert names(field_selector="metadata.name=b") == ["b"]
    assert names(field_selector="status.phase!=Pending") == []
    with pytest.raises(ApiException) as error:
        names(field_selector="spec.foo=x")
    assert status_of(error)["message"] == "field label not supported: spec.foo"


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_pages_show_one_moment_whatever_changes_between_them(cluster: Cluster, namespace: str):
    for number in range(5):
        cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": f"c{number}"}})
    first = cluster.core.list_namespaced_config_map(namespace, limit=2)
    assert (len(first.items), first.metadata.remaining_item_count) == (2, 3)
    cluster.core.delete_namespaced_config_map("c3", namespace)
    token = first.metadata._continue
    rest = cluster.core.list_namespaced_config_map(namespace, limit=10, _continue=token)

    assert [c.metadata.name for c in rest.items] == ["c2", "c3", "c4"]
    assert rest.metadata.resource_version == first.metadata.resource_version
    assert rest.metadata._continue is None


def test_a_watch_shows_who_enters_and_leaves_the_selection(cluster: Cluster, namespace: str):
    start = cluster.core.list_namespaced_pod(namespace).metadata.resource_version
    cluster.core.create_namespaced_pod(namespace, pod("a"))
    cluster.core.patch_namespaced_pod("a", namespace, {"metadata": {"labels": {"in": "yes"}}})
    cluster.core.patch_namespaced_pod("a", namespace, {"metadata": {"annotations": {"x": "y"}}})
    cluster.core.patch_namespaced_pod("a", namespace, {"metadata": {"labels": {"in": None}}})
    stream = watch.Watch().stream(
        cluster.core.list_namespaced_pod, namespace, resource_version=start, label_selector="in=yes", timeout_seconds=1
    )
    assert [event["type"] for event in stream] == ["ADDED", "MODIFIED", "DELETED"]


@pytest.mark.embedded("controllers and nodes would act meanwhile")
def test_a_watch_without_a_version_begins_with_what_is_there(cluster: Cluster, namespace: str):
    cluster.core.create_namespaced_pod(namespace, pod("a"))
    stream = watch.Watch().stream(cluster.core.list_namespaced_pod, namespace, timeout_seconds=1)
    assert [(event["type"], event["object"].metadata.name) for event in stream] == [("ADDED", "a")]


def test_a_dry_run_changes_nothing(cluster: Cluster, namespace: str):
    made = cluster.core.create_namespaced_pod(namespace, pod(), dry_run="All")
    assert made.spec.restart_policy == "Always"
    assert cluster.core.list_namespaced_pod(namespace).items == []


def create(cluster: Cluster, namespace: str, obj: dict, query: str = "") -> tuple[int, list[str], dict]:
    """POST a pod as it stands: the client library would refuse it by itself. Code, warnings, answer."""
    code, headers, answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods?{query}", obj)
    return code, headers.get_all("Warning", []), answer


def test_a_wrong_type_is_said_in_gos_words(cluster: Cluster, namespace: str):
    code, _, answer = create(cluster, namespace, pod(terminationGracePeriodSeconds="soon"))
    assert (code, answer["message"]) == (
        400,
        'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field'
        " PodSpec.spec.terminationGracePeriodSeconds of type int64",
    )


@pytest.mark.parametrize(
    ("mode", "warned"),
    [("", ['299 - "unknown field \\"spec.contaners\\""']), ("fieldValidation=Ignore", [])],
)
def test_unknown_fields_are_dropped_and_reported_as_asked(
    cluster: Cluster, namespace: str, mode: str, warned: list[str]
):
    code, warnings, answer = create(cluster, namespace, pod(contaners=[]), mode)
    assert (code, warnings) == (201, warned)
    assert "contaners" not in answer["spec"]


def test_unknown_and_duplicate_fields_are_an_error_when_strict(cluster: Cluster, namespace: str):
    twice = json.dumps(pod(contaners=[], hostname="a")).replace('"hostname"', '"hostname": "b", "hostname"').encode()
    code, _, answer = create(cluster, namespace, twice, "fieldValidation=Strict")
    assert (code, answer["message"]) == (
        400,
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.contaners",'
        ' duplicate field "spec.hostname"',
    )


def test_what_is_set_and_not_honoured_is_warned_about(cluster: Cluster, namespace: str):
    _, warnings, _ = create(cluster, namespace, pod(hostNetwork=True))
    assert warnings == [
        '299 - "spec.hostNetwork: not honoured by this cluster: nodes refuse it: pods have a network of their own"'
    ]


def test_nobody_gets_in_without_a_token(cluster: Cluster):
    configuration = client.Configuration.get_default_copy()
    configuration.host, configuration.ssl_ca_cert = cluster.url, cluster.client.configuration.ssl_ca_cert
    with client.ApiClient(configuration) as stranger, pytest.raises(ApiException) as error:
        client.CoreV1Api(stranger).list_namespace()
    assert error.value.status == 403
    words = 'User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope'
    assert status_of(error)["message"] == f"namespaces is forbidden: {words}"
    configuration.api_key["authorization"] = "Bearer wrong"
    with client.ApiClient(configuration) as stranger, pytest.raises(ApiException) as error:
        client.CoreV1Api(stranger).list_namespace()
    assert (error.value.status, status_of(error)["reason"]) == (401, "Unauthorized")
    del configuration.api_key["authorization"]
    assert client.VersionApi(client.ApiClient(configuration)).get_code().minor == "33"


def test_plain_http_is_not_answered(cluster: Cluster):
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"http://127.0.0.1:{cluster.server.port}/version", timeout=5)
