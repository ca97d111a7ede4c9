"""Watches and revisions on the wire, event by event."""

from __future__ import annotations

import json
import urllib.request

import pytest

from .conftest import Cluster


def config_maps(namespace: str, query: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps?{query}"


def make(cluster: Cluster, namespace: str, name: str) -> None:
    cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": name}})


def events(cluster: Cluster, path: str, accept: str = "application/json") -> list[dict]:
    """All events of a watch, which has to end by its timeoutSeconds."""
    headers = {"Authorization": f"Bearer {cluster.token}", "Accept": accept}
    trust = cluster.trust
    request = urllib.request.Request(cluster.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=20, context=trust) as response:
        return [json.loads(line) for line in response]


@pytest.mark.parametrize("watch", ["", "&watch=1"])
def test_a_version_of_the_future_is_refused(cluster: Cluster, namespace: str, watch: str):
    code, headers, answer = cluster.request("GET", config_maps(namespace, f"resourceVersion=999999999{watch}"))
    assert (code, answer["reason"], headers["Retry-After"]) == (504, "Timeout", "1")
    assert answer["message"].startswith("Timeout: Too large resource version: 999999999, current: ")
    assert answer["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_can_be_a_table(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    make(cluster, namespace, "b")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    first, second = events(cluster, config_maps(namespace, "watch=1&timeoutSeconds=1"), accept)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["object"]["columnDefinitions"] == []
    assert first["object"]["rows"][0]["cells"][:2] == ["a", 0]
    assert first["object"]["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_only_metadata(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    _, _, answer = cluster.request("GET", config_maps(namespace, ""), accept=accept)
    assert (answer["kind"], list(answer["items"][0])) == (
        "PartialObjectMetadataList",
        ["kind", "apiVersion", "metadata"],
    )


def test_what_cannot_be_rendered_is_refused(cluster: Cluster, namespace: str):
    code, _, answer = cluster.request("GET", config_maps(namespace, ""), accept="application/xml")
    assert (code, answer["reason"]) == (406, "NotAcceptable")


def test_endpoints_are_deprecated(cluster: Cluster, namespace: str):
    _, headers, _ = cluster.request("GET", f"/api/v1/namespaces/{namespace}/endpoints")
    assert headers["Warning"] == '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'


def test_paths_and_verbs_that_are_not_there(cluster: Cluster, namespace: str):
    assert cluster.request("GET", "/apis/apps/v1/statefulsets")[2]["message"] == (
        "the server could not find the requested resource"
    )
    code, _, answer = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods/x", {})
    assert (code, answer["reason"]) == (405, "MethodNotAllowed")
    code, _, answer = cluster.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/x/status")
    assert code == 404
