"""Whose fields are whose, as a real cluster notes it; conflicts of an apply with ordinary writers."""

from __future__ import annotations

import json

import pytest

from .conftest import Cluster

APPLY = "application/apply-patch+yaml"
CONTAINER = {
    ".": {},
    "f:image": {},
    "f:imagePullPolicy": {},
    "f:name": {},
    "f:resources": {},
    "f:terminationMessagePath": {},
    "f:terminationMessagePolicy": {},
}


def entries(obj: dict) -> list[tuple[str, str, str]]:
    managed = obj["metadata"]["managedFields"]
    return [(e["manager"], e["operation"], e.get("subresource", "")) for e in managed]


@pytest.mark.requires("kubectl")
def test_what_kubectl_run_and_create_own(cluster: Cluster, namespace: str):
    cluster.kubectl("-n", namespace, "run", "web", "--image=nginx")
    _, _, pod = cluster.request("GET", f"/api/v1/namespaces/{namespace}/pods/web")
    (entry,) = pod["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("kubectl-run", "Update", "v1")
    spec = ("dnsPolicy", "enableServiceLinks", "restartPolicy", "schedulerName", "securityContext")
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:run": {}}},
        "f:spec": {
            "f:containers": {'k:{"name":"web"}': CONTAINER},
            **{f"f:{field}": {} for field in (*spec, "terminationGracePeriodSeconds")},
        },
    }
    cluster.kubectl("-n", namespace, "create", "deployment", "d", "--image=nginx")
    _, _, deployment = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/d")
    spec = deployment["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}
    assert spec["f:selector"] == {} and spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}


def test_an_ordinary_write_takes_over_and_an_apply_then_conflicts(cluster: Cluster, namespace: str):
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/d"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    config = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}
    code, _, made = cluster.request("PATCH", f"{path}?fieldManager=me", config, APPLY)
    assert (code, entries(made)) == (201, [("me", "Apply", "")])
    merge = "application/merge-patch+json"
    scaled = cluster.request("PATCH", f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 3}}, merge)
    assert scaled[0] == 200
    _, _, now = cluster.request("GET", path)
    assert entries(now) == [("me", "Apply", ""), ("scaler", "Update", "scale")]
    code, _, refused = cluster.request("PATCH", f"{path}?fieldManager=me", config, APPLY)
    words = 'conflict with "scaler" with subresource "scale" using apps/v1'
    assert (code, refused["message"]) == (409, f"Apply failed with 1 conflict: {words}: .spec.replicas")
    cause = {"reason": "FieldManagerConflict", "message": words, "field": ".spec.replicas"}
    assert refused["details"] == {"causes": [cause]}
    code, _, forced = cluster.request("PATCH", f"{path}?fieldManager=me&force=true", config, APPLY)
    assert (code, entries(forced), forced["spec"]["replicas"]) == (200, [("me", "Apply", "")], 1)
    del config["spec"]["replicas"]
    _, _, given_up = cluster.request("PATCH", f"{path}?fieldManager=me", config, APPLY)
    assert given_up["spec"]["replicas"] == 1  # the default again, and nobody's
    assert "f:replicas" not in json.dumps(given_up["metadata"]["managedFields"])


def test_a_removed_field_is_nobodys_and_no_change_changes_no_entry(cluster: Cluster, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body = {"metadata": {"name": "c", "labels": {"a": "b"}}, "data": {"x": "1", "y": "2"}}
    _, _, made = cluster.request("POST", f"{path}?fieldManager=one", body)
    merge = "application/merge-patch+json"
    _, _, changed = cluster.request("PATCH", f"{path}/c?fieldManager=two", {"data": {"x": None, "y": "3"}}, merge)
    owned = {e["manager"]: e["fieldsV1"] for e in changed["metadata"]["managedFields"]}
    assert owned["one"] == {"f:data": {}, "f:metadata": {"f:labels": {".": {}, "f:a": {}}}}
    assert owned["two"] == {"f:data": {"f:y": {}}}
    _, _, same = cluster.request("PATCH", f"{path}/c?fieldManager=three", {"data": {"y": "3"}}, merge)
    assert same["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]
    assert made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"] == {".": {}, "f:x": {}, "f:y": {}}
