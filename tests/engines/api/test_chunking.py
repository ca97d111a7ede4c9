"""Lists in chunks, at a revision, and when their history is gone. Upstream: test/e2e/apimachinery/chunking.go."""

from __future__ import annotations

import base64
import json

import pytest

from .conftest import Cluster

NOT_VALID = "invalid continue token: continue key is not valid: "


def config_maps(namespace: str, query: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps?{query}"


def make(cluster: Cluster, namespace: str, *names: str) -> None:
    for name in names:
        cluster.core.create_namespaced_config_map(namespace, {"metadata": {"name": name}})


def names(page: dict) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


def compact(cluster: Cluster) -> int:
    store = cluster.server.registry.store
    cluster.call(lambda: store.compact(store.revision))
    return store.revision


def token(**fields: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


def test_chunks_of_a_consistent_list(cluster: Cluster, namespace: str):
    """Chunking: should return chunks of results for list calls."""
    make(cluster, namespace, *(f"t-{number}" for number in range(7)))
    found, more, revision, remaining = [], "", None, 7
    while not found or more:
        _, _, page = cluster.request("GET", config_maps(namespace, f"limit=3&continue={more}"))
        if not found:
            make(cluster, namespace, "t-9")  # is not in the list, which is as of its first chunk
        found += names(page)
        remaining -= len(page["items"])
        revision = revision or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == revision
        assert page["metadata"].get("remainingItemCount", 0) == remaining
        more = page["metadata"].get("continue", "")
    assert found == [f"t-{number}" for number in range(7)]


def test_no_count_with_a_selector(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a", "b")
    _, _, page = cluster.request("GET", config_maps(namespace, "limit=1&fieldSelector=metadata.name!=x"))
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


def test_an_expired_token_comes_with_a_fresh_one(cluster: Cluster, namespace: str):
    """Chunking: should support continue listing from the last key if the original version has been compacted away,
    though the list is inconsistent."""
    make(cluster, namespace, "a", "b", "d")
    _, _, page = cluster.request("GET", config_maps(namespace, "limit=2"))
    make(cluster, namespace, "c")
    revision = compact(cluster)
    more = page["metadata"]["continue"]
    code, _, answer = cluster.request("GET", config_maps(namespace, f"limit=2&continue={more}"))
    assert (code, answer["reason"]) == (410, "Expired")
    assert answer["message"].startswith("The provided continue parameter is too old to display a consistent list")
    more = answer["metadata"]["continue"]
    _, _, rest = cluster.request("GET", config_maps(namespace, f"limit=2&continue={more}"))
    assert names(rest) == ["c", "d"]
    assert rest["metadata"]["resourceVersion"] == str(revision)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (token(v="meta.k8s.io/v2", rv=1, start="a"), "server does not recognize this encoded version meta.k8s.io/v2"),
        (token(v="meta.k8s.io/v1", start="a"), "incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        (token(v="meta.k8s.io/v1", rv=1), "encoded start key empty (version meta.k8s.io/v1)"),
        (token(v="meta.k8s.io/v1", rv=1, start="../secrets/x"), "../secrets/x"),
    ],
)
def test_tokens_that_are_none(cluster: Cluster, namespace: str, more: str, words: str):
    code, _, answer = cluster.request("GET", config_maps(namespace, f"limit=1&continue={more}"))
    assert (code, answer["message"]) == (400, NOT_VALID + words)


def test_a_token_says_the_revision(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a", "b")
    _, _, page = cluster.request("GET", config_maps(namespace, "limit=1"))
    query = f"limit=1&continue={page['metadata']['continue']}"
    code, _, answer = cluster.request("GET", config_maps(namespace, query + "&resourceVersion=5"))
    assert (code, answer["message"]) == (400, "specifying resource version is not allowed when using continue")
    assert cluster.request("GET", config_maps(namespace, query + "&resourceVersion=0"))[0] == 200


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("resourceVersionMatch=Exact", "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=x",
            "resourceVersionMatch is forbidden when continue is provided",
        ),
        ("sendInitialEvents=true", "sendInitialEvents is forbidden for list"),
        (
            "watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
    ],
)
def test_parameters_that_do_not_go_together(cluster: Cluster, namespace: str, query: str, words: str):
    code, _, answer = cluster.request("GET", config_maps(namespace, query))
    field = words.partition(" ")[0]
    assert (code, answer["reason"]) == (422, "Invalid")
    assert answer["message"] == f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {words}'


def test_an_unknown_match(cluster: Cluster, namespace: str):
    code, _, answer = cluster.request("GET", config_maps(namespace, "resourceVersion=1&resourceVersionMatch=Newer"))
    assert code == 422
    assert answer["message"] == (
        'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Newer": supported values:'
        ' "Exact", "NotOlderThan", ""'
    )


def test_exact_and_not_older(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    then = cluster.request("GET", config_maps(namespace))[2]["metadata"]["resourceVersion"]
    make(cluster, namespace, "b")
    at = f"resourceVersion={then}"
    for query, expected in (
        (at, ["a", "b"]),
        (f"{at}&resourceVersionMatch=NotOlderThan", ["a", "b"]),
        (f"{at}&resourceVersionMatch=Exact", ["a"]),
        (f"{at}&limit=5", ["a"]),  # as it was before there was resourceVersionMatch
    ):
        assert names(cluster.request("GET", config_maps(namespace, query))[2]) == expected, query
    make(cluster, namespace, "c")
    compact(cluster)
    code, _, answer = cluster.request("GET", config_maps(namespace, f"{at}&resourceVersionMatch=Exact"))
    assert (code, answer["message"]) == (410, "The resourceVersion for the provided list is too old.")


def test_a_collection_deleted_with_a_limit(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a", "b", "c")
    code, _, kept = cluster.request("DELETE", config_maps(namespace, "limit=2&dryRun=All"))
    assert (code, names(kept)) == (200, ["a", "b"])
    _, _, gone = cluster.request("DELETE", config_maps(namespace, "limit=2"))
    assert (names(gone), gone["metadata"]["remainingItemCount"]) == (["a", "b"], 1)
    assert names(cluster.request("GET", config_maps(namespace))[2]) == ["c"]
