"""The informer: a cache that misses nothing, whatever becomes of the watch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kubelab.clock import VirtualClock, settle
from kubelab.cluster.client import Unavailable, error_from_status
from kubelab.cluster.informer import Informer
from kubelab.cluster.resources import PODS
from unit.cluster.clients.fakes import FakeAPI, gone, obj

Told = list[tuple[str, Any]]


class Watched:
    """An informer on a fake API, and what its handlers were told."""

    def __init__(self, api: FakeAPI) -> None:
        self.api, self.clock = api, VirtualClock()
        self.informer = Informer(api, PODS, clock=self.clock)
        self.told: Told = []
        self.informer.add_handler(
            lambda new: self.told.append(("add", new["metadata"]["name"])),
            lambda old, new: self.told.append(
                ("update", (old["metadata"]["resourceVersion"], new["metadata"]["resourceVersion"]))
            ),
            lambda last: self.told.append(("delete", last["metadata"]["name"])),
        )

    async def begin(self) -> None:
        await self.informer.start()
        await settle()

    def names(self) -> set[str]:
        return {o["metadata"]["name"] for o in self.informer.list()}


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched(FakeAPI(obj("a", 1)))
    await made.begin()
    yield made
    await made.informer.stop()


async def test_a_list_fills_the_cache_and_the_watch_begins_at_its_version(watched: Watched):
    assert watched.informer.has_synced
    assert watched.api.watched_from == ["1"]
    cached = watched.informer.get("default", "a")
    assert (cached["apiVersion"], cached["kind"]) == ("v1", "Pod")
    assert watched.told == [("add", "a")]


async def test_events_change_the_cache_and_are_told_in_order(watched: Watched):
    watched.api.send("ADDED", obj("b", 2))
    watched.api.send("MODIFIED", obj("a", 3))
    watched.api.send("DELETED", obj("b", 4))
    await settle()
    assert watched.told[1:] == [("add", "b"), ("update", ("1", "3")), ("delete", "b")]
    assert watched.names() == {"a"}


async def test_a_watch_that_ends_goes_on_where_it_stopped(watched: Watched):
    watched.api.send("ADDED", obj("b", 7))
    watched.api.end()
    await settle()
    assert watched.api.watched_from == ["1", "7"]
    assert watched.api.lists == 1


async def test_a_bookmark_moves_the_version_on(watched: Watched):
    watched.api.send("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "50"}})
    watched.api.end()
    await settle()
    assert watched.api.watched_from[-1] == "50"
    assert watched.told == [("add", "a")]


async def test_a_version_that_is_too_old_means_a_new_list_and_the_difference_is_told(watched: Watched):
    watched.api.objects = {"b": obj("b", 8), "c": obj("c", 9)}
    watched.api.version = 9
    watched.api.fail(gone())
    await settle()
    await watched.clock.advance(1)
    assert sorted(watched.told[1:]) == [("add", "b"), ("add", "c"), ("delete", "a")]
    assert watched.api.watched_from == ["1", "9"]


async def test_a_store_that_was_reset_means_a_new_list(watched: Watched):
    status = {"code": 504, "reason": "Timeout", "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]}}
    watched.api.fail(error_from_status(status))
    await watched.clock.advance(1)
    assert watched.api.lists == 2


async def test_while_the_server_is_away_it_is_asked_ever_more_slowly():
    api = FakeAPI(obj("a", 1))
    api.list_errors = [Unavailable({"message": "no answer"}) for _ in range(3)]
    watched = Watched(api)
    await watched.begin()
    assert api.lists == 1 and not watched.informer.has_synced
    await watched.clock.advance(0.1)
    assert api.lists == 2
    await watched.clock.advance(0.1)
    assert api.lists == 2
    await watched.clock.advance(0.1 + 0.4 + 0.01)
    assert watched.informer.has_synced
    await watched.informer.stop()


async def test_indexes_follow_changes(watched: Watched):
    watched.informer.add_index("node", lambda o: [o.get("spec", {}).get("nodeName", "")])
    watched.api.send("MODIFIED", obj("a", 2, spec={"nodeName": "node-1"}))
    await settle()
    assert [o["metadata"]["name"] for o in watched.informer.by_index("node", "node-1")] == ["a"]
    assert watched.informer.by_index("node", "") == []
    watched.api.send("DELETED", obj("a", 3, spec={"nodeName": "node-1"}))
    await settle()
    assert watched.informer.by_index("node", "node-1") == []


async def test_a_late_handler_is_told_what_is_there(watched: Watched):
    late: list[str] = []
    watched.informer.add_handler(lambda new: late.append(new["metadata"]["name"]))
    assert late == ["a"]


async def test_a_handler_that_fails_stops_nobody(watched: Watched, caplog: pytest.LogCaptureFixture):
    def broken(new: Any) -> None:
        raise RuntimeError("broken handler")

    watched.informer.add_handler(on_update=lambda old, new: broken(new))
    watched.api.send("MODIFIED", obj("a", 2))
    watched.api.send("ADDED", obj("b", 3))
    await settle()
    assert watched.names() == {"a", "b"}
    assert "broken handler" in caplog.text


async def test_objects_of_one_namespace_are_listed_apart(watched: Watched):
    watched.api.send("ADDED", obj("b", 2, namespace="other"))
    await settle()
    assert [o["metadata"]["name"] for o in watched.informer.list("other")] == ["b"]
    assert len(watched.informer.list()) == 2


async def test_an_answer_that_makes_no_sense_does_not_end_the_cache(watched: Watched):
    watched.api.send("MODIFIED", {"metadata": {}})
    await settle()
    watched.api.objects["b"], watched.api.version = obj("b", 7), 7
    await watched.clock.advance(1.0)
    await settle()
    assert watched.names() == {"a", "b"}


async def test_an_own_write_is_in_the_cache_before_the_watch_brings_it(watched: Watched):
    watched.told.clear()
    watched.informer.wrote(obj("a", 5))
    assert watched.told == [("update", ("1", "5"))]
    watched.api.send("MODIFIED", obj("a", 4))  # what another wrote before
    watched.api.send("MODIFIED", obj("a", 5))
    await settle()
    assert watched.told == [("update", ("1", "5"))]
    watched.api.send("MODIFIED", obj("a", 6))
    await settle()
    assert watched.told[1:] == [("update", ("5", "6"))]


async def test_an_answer_that_comes_after_its_objects_deletion_brings_nothing_back(watched: Watched):
    watched.api.send("DELETED", obj("a", 7))
    await settle()
    watched.informer.wrote(obj("a", 5))
    assert watched.names() == set()
