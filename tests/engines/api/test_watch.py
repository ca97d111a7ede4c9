"""Watches: bookmarks, initial events, compaction. Upstream: test/e2e/apimachinery/{watch,watchlist}.go."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from .conftest import Cluster
from .test_api_watch import config_maps, events, make
from .test_chunking import compact

INITIAL = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
WATCH_LIST = f"{INITIAL}&allowWatchBookmarks=true&timeoutSeconds=1"
GATE = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is"


@pytest.fixture
def watch_list(cluster: Cluster) -> Iterator[None]:
    """The feature gate is on, as in 1.32 and 1.34."""
    registry = cluster.server.registry
    before = registry.config
    registry.config = dataclasses.replace(before, feature_gates="WatchList=true")
    yield
    registry.config = before


@pytest.mark.usefixtures("watch_list")
def test_a_watch_list_begins_with_all_and_says_where_they_end(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    added, bookmark = events(cluster, config_maps(namespace, WATCH_LIST))
    assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "a")
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])


def test_initial_events_want_their_match_and_their_gate(cluster: Cluster, namespace: str):
    code, _, answer = cluster.request("GET", config_maps(namespace, "watch=1&sendInitialEvents=true"))
    assert (code, answer["message"]) == (
        422,
        'ListOptions.meta.k8s.io "" is invalid: [resourceVersionMatch: Forbidden: sendInitialEvents requires setting'
        f" resourceVersionMatch to NotOlderThan, {GATE} enabled]",
    )
    code, _, answer = cluster.request("GET", config_maps(namespace, WATCH_LIST))
    assert (code, answer["message"]) == (422, f'ListOptions.meta.k8s.io "" is invalid: {GATE} enabled')


def test_compacted_history_is_told_in_the_stream(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    revision = compact(cluster)
    (event,) = events(cluster, config_maps(namespace, "watch=1&resourceVersion=1"))
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"] == f"too old resource version: 1 ({revision})"


def test_a_bookmark_before_the_end(cluster: Cluster, namespace: str):
    make(cluster, namespace, "a")
    revision = cluster.server.registry.store.revision
    query = f"watch=1&resourceVersion={revision}&allowWatchBookmarks=true&timeoutSeconds=3"
    (bookmark,) = events(cluster, config_maps(namespace, query))
    version = bookmark["object"]["metadata"]["resourceVersion"]
    obj = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version}}
    assert bookmark == {"type": "BOOKMARK", "object": obj}
    assert int(version) >= revision
