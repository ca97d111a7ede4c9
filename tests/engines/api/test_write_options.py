"""What writes take in their query, and what they refuse; fields to select by. Upstream: test/e2e/apimachinery/
field_validation.go, test/integration/dryrun, and apimachinery's pkg/apis/meta/v1/validation for the words."""

from __future__ import annotations

import pytest

from .conftest import Cluster

MERGE = "application/merge-patch+json"
MODES = 'supported values: "", "Ignore", "Strict", "Warn"'


@pytest.mark.parametrize(
    ("method", "query", "words"),
    [
        ("POST", "dryRun=Some", 'CreateOptions: dryRun: Unsupported value: []string{"Some"}: supported values: "All"'),
        ("PUT", "dryRun=Some", 'UpdateOptions: dryRun: Unsupported value: []string{"Some"}: supported values: "All"'),
        ("PATCH", "force=true", "PatchOptions: force: Forbidden: may not be specified for non-apply patch"),
        ("POST", "fieldValidation=X", f'CreateOptions: fieldValidation: Unsupported value: "X": {MODES}'),
        (
            "POST",
            "fieldManager=a%0Ab",
            'CreateOptions: fieldManager: Invalid value: "a\\nb": invalid character U+000A (at position 1)',
        ),
        ("POST", "fieldManager=" + "x" * 129, "CreateOptions: fieldManager: Too long: may not be more than 128 bytes"),
    ],
)
def test_options_that_are_refused(cluster: Cluster, namespace: str, method: str, query: str, words: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps" + ("" if method == "POST" else "/x")
    content_type = MERGE if method == "PATCH" else "application/json"
    code, _, answer = cluster.request(method, f"{path}?{query}", {"metadata": {"name": "x"}}, content_type)
    kind, _, rest = words.partition(": ")
    assert (code, answer["message"]) == (422, f'{kind}.meta.k8s.io "" is invalid: {rest}')


def test_a_write_under_another_uid(cluster: Cluster, namespace: str):
    uid = cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}}).metadata.uid
    path = f"/api/v1/namespaces/{namespace}/configmaps/m"
    code, _, answer = cluster.request("PUT", path, {"metadata": {"name": "m", "uid": "other"}})
    assert code == 409
    assert answer["message"] == (
        'Operation cannot be fulfilled on configmaps "m": StorageError: invalid object, Code: 4, Key:'
        f" /registry/configmaps/{namespace}/m, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in"
        f" precondition: other, UID in object meta: {uid}"
    )


def test_a_dry_run_of_every_verb_changes_nothing(cluster: Cluster, namespace: str):
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    before = cluster.server.registry.store.revision
    code, _, made = cluster.request("POST", f"{path}?dryRun=All", {"metadata": {"name": "m"}})
    assert (code, bool(made["metadata"]["uid"]), made["metadata"].get("resourceVersion")) == (201, True, None)
    assert cluster.server.registry.store.revision == before
    kept = cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": "m"}}).metadata
    for method, body, content_type in (
        ("PUT", {"metadata": {"name": "m"}, "data": {"a": "b"}}, "application/json"),
        ("PATCH", {"data": {"a": "b"}}, MERGE),
    ):
        code, _, answer = cluster.request(method, f"{path}/m?dryRun=All", body, content_type)
        assert (code, answer["data"]) == (200, {"a": "b"})
    assert cluster.request("DELETE", f"{path}/m?dryRun=All")[0] == 200
    left = cluster.core.read_namespaced_config_map("m", namespace)
    assert (left.data, left.metadata.resource_version) == (None, kept.resource_version)


@pytest.mark.parametrize(
    ("path", "selector", "words"),
    [
        ("/api/v1/pods", "spec.foo", "field label not supported: spec.foo"),
        ("/api/v1/nodes", "metadata.namespace", "field label not supported: metadata.namespace"),
        ("/apis/batch/v1/jobs", "spec.foo", 'field label "spec.foo" not supported for batchv1.Job'),
        (
            "/apis/apps/v1/replicasets",
            "status.replicas",
            '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
def test_fields_that_cannot_be_selected_by(cluster: Cluster, path: str, selector: str, words: str):
    code, _, answer = cluster.request("GET", f"{path}?fieldSelector={selector}%3D1")
    assert (code, answer["reason"], answer["message"]) == (400, "BadRequest", words)
