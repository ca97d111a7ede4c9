"""The scheduler's cache: what it decided counts at once, what the API says counts for good."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.scheduler.cache import Cache
from kubelab.cluster.scheduler.requests import Amount, PodInfo
from unit.cluster.builders import make_node, make_pod


def taken(cache: Cache) -> dict[str, int]:
    return {info.node["metadata"]["name"]: info.requested.milli_cpu for info in cache.nodes()}


def make_cache() -> Cache:
    cache = Cache()
    for name in ("a", "b"):
        cache.set_node(make_node(name))
    return cache


def test_an_assumed_pod_is_counted_until_it_is_forgotten():
    cache = make_cache()
    cache.assume(PodInfo.of(make_pod("p", requests={"cpu": "1"})), "a")
    assert taken(cache) == {"a": 1000, "b": 0}
    cache.forget("uid-p")
    assert taken(cache) == {"a": 0, "b": 0}


def test_what_the_api_says_replaces_what_was_assumed():
    cache = make_cache()
    cache.assume(PodInfo.of(make_pod("p", requests={"cpu": "1"})), "a")
    cache.set_pod(make_pod("p", node="b", requests={"cpu": "2"}))
    assert taken(cache) == {"a": 0, "b": 2000}
    cache.forget("uid-p")
    assert taken(cache) == {"a": 0, "b": 2000}, "a confirmed pod is not forgotten"


def test_a_finished_pod_takes_nothing():
    cache = make_cache()
    cache.set_pod(make_pod("p", node="a", requests={"cpu": "1"}))
    cache.set_pod(make_pod("p", node="a", phase="Succeeded", requests={"cpu": "1"}))
    assert taken(cache) == {"a": 0, "b": 0}


def test_pods_of_a_node_that_is_not_known_yet_are_counted_when_it_is():
    cache = Cache()
    cache.set_pod(make_pod("p", node="late", requests={"cpu": "1"}))
    assert cache.nodes() == []
    cache.set_node(make_node("late"))
    assert taken(cache) == {"late": 1000}
    cache.remove_node("late")
    cache.remove_pod("uid-p")
    assert cache.nodes() == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["assume", "forget", "set", "finish", "remove"]), st.sampled_from("pqr"), st.sampled_from("ab")
    ),
    max_size=40,
)


@given(STEPS)
def test_the_sums_are_always_those_of_the_pods_that_are_there(steps: list[tuple[str, str, str]]):
    cache, where, assumed = make_cache(), {}, set()
    for step, name, node in steps:
        uid, pod = f"uid-{name}", make_pod(name, node=node, requests={"cpu": "1"})
        if step == "assume":
            cache.assume(PodInfo.of(pod), node)
            where[uid] = node
            assumed.add(uid)
        elif step == "forget":
            cache.forget(uid)
            if uid in assumed:
                where.pop(uid)
                assumed.discard(uid)
        elif step == "set":
            cache.set_pod(pod)
            where[uid] = node
            assumed.discard(uid)
        else:
            finished: dict[str, Any] = make_pod(name, node=node, phase="Failed")
            cache.set_pod(finished) if step == "finish" else cache.remove_pod(uid)
            where.pop(uid, None)
            assumed.discard(uid)
    for info in cache.nodes():
        count = list(where.values()).count(info.node["metadata"]["name"])
        assert info.requested == Amount(1000 * count, 0)
        assert len(info.pods) == count
