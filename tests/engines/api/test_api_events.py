"""Events under both of their names. After test/e2e/instrumentation/events.go."""

from __future__ import annotations

import datetime

import kubernetes
import pytest
from kubernetes.client import ApiException

from .conftest import Cluster


def event(namespace: str, name: str = "e") -> dict:
    return {
        "metadata": {"name": name, "labels": {"testevent": "true"}},
        "eventTime": datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "regarding": {"kind": "Pod", "name": "p", "namespace": namespace},
        "note": "It happened",
        "reason": "Happened",
        "action": "Do",
        "type": "Normal",
        "reportingController": "example.com/test",
        "reportingInstance": "test-1",
    }


def test_an_event_is_one_object_in_both_groups(cluster: Cluster, namespace: str):
    new = kubernetes.client.EventsV1Api(cluster.client)
    made = new.create_namespaced_event(namespace, event(namespace))
    assert (made.note, made.regarding.name, made.api_version) == ("It happened", "p", "events.k8s.io/v1")
    old = cluster.core.read_namespaced_event("e", namespace)
    assert (old.message, old.involved_object.name, old.reporting_component) == ("It happened", "p", "example.com/test")
    new.patch_namespaced_event("e", namespace, {"series": {"count": 2, "lastObservedTime": made.event_time}})
    assert cluster.core.read_namespaced_event("e", namespace).series.count == 2
    found = new.list_namespaced_event(namespace, field_selector="regarding.name=p,reportingController=example.com/test")
    assert [item.metadata.name for item in found.items] == ["e"]
    assert cluster.core.list_namespaced_event(namespace, field_selector="involvedObject.name=q").items == []
    watch = kubernetes.watch.Watch().stream(new.list_namespaced_event, namespace, timeout_seconds=1)
    assert [item["object"].note for item in watch] == ["It happened"]
    new.delete_collection_namespaced_event(namespace, label_selector="testevent=true")
    assert cluster.core.list_namespaced_event(namespace).items == []


def test_an_event_of_the_new_kind_says_who_did_what_and_when(cluster: Cluster, namespace: str):
    lacking = {k: v for k, v in event(namespace).items() if k not in ("eventTime", "action")} | {"deprecatedCount": 2}
    code, _, status = cluster.request("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", lacking)
    assert code == 422
    assert status["message"] == (
        'Event.events.k8s.io "e" is invalid: [eventTime: Required value, action: Required value, '
        "deprecatedCount: Forbidden: needs to be unset]"
    )


@pytest.mark.requires("kubectl")
def test_kubectl_events(cluster: Cluster, namespace: str):
    kubernetes.client.EventsV1Api(cluster.client).create_namespaced_event(namespace, event(namespace))
    assert "It happened" in cluster.kubectl("-n", namespace, "events").stdout
    assert "It happened" in cluster.kubectl("-n", namespace, "get", "events.events.k8s.io").stdout
    with pytest.raises(ApiException):
        kubernetes.client.EventsV1Api(cluster.client).read_namespaced_event("f", namespace)


def test_pod_templates(cluster: Cluster, namespace: str):
    """After test/e2e/common/node/podtemplates.go."""
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "t", "labels": {"podtemplate": "true"}}, "template": template}
    made = cluster.core.create_namespaced_pod_template(namespace, body)
    assert made.template.spec.restart_policy == "Always"
    cluster.core.patch_namespaced_pod_template("t", namespace, {"metadata": {"labels": {"patched": "yes"}}})
    assert cluster.core.list_pod_template_for_all_namespaces(label_selector="patched=yes").items[0].metadata.name == "t"
    cluster.core.delete_collection_namespaced_pod_template(namespace, label_selector="podtemplate=true")
    assert cluster.core.list_namespaced_pod_template(namespace).items == []
