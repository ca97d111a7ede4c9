"""A thousand addresses in an Endpoints object; and the time of the change that it follows."""

from __future__ import annotations

from typing import Any

from kubelab.cluster.controllers.endpointscapacity import MAX_ADDRESSES, truncated
from kubelab.cluster.controllers.triggertimes import ANNOTATION, TriggerTimes, annotated
from unit.cluster.builders import make_pod

PORTS = [{"port": 80, "protocol": "TCP"}]


def subset(ready: int = 0, waiting: int = 0) -> dict[str, Any]:
    made: dict[str, Any] = {"ports": PORTS}
    for part, count in (("addresses", ready), ("notReadyAddresses", waiting)):
        if count:
            made[part] = [{"ip": f"10.0.{n // 250}.{n % 250}"} for n in range(count)]
    return made


def counts(subsets: list[dict[str, Any]] | None) -> list[tuple[int, int]]:
    return [(len(s.get("addresses", [])), len(s.get("notReadyAddresses", []))) for s in subsets or ()]


def test_a_thousand_are_whole():
    assert truncated([subset(600, 400)]) is None


def test_those_that_are_not_ready_go_first():
    assert counts(truncated([subset(800, 400)])) == [(800, 200)]
    assert counts(truncated([subset(1500, 400)])) == [(MAX_ADDRESSES, 0)]


def test_subsets_share_the_room_by_their_size():
    assert counts(truncated([subset(1500), subset(500)])) == [(750, 0), (250, 0)]


def service(created: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": "web", "creationTimestamp": created}}


def test_the_earliest_of_what_is_new_is_the_time_of_the_change():
    times, made = TriggerTimes(), service("2026-01-01T00:00:05Z")
    pods = [make_pod("a", ready_since="2026-01-01T00:00:09Z"), make_pod("b", ready_since="2026-01-01T00:00:07Z")]
    assert times.newest_change(made, pods) == "2026-01-01T00:00:05Z"
    assert times.newest_change(made, pods) == ""
    pods[0] = make_pod("a", ready_since="2026-01-01T00:01:00Z")
    assert times.newest_change(made, pods) == "2026-01-01T00:01:00Z"


def test_the_annotation_goes_where_there_is_no_new_time():
    assert annotated({"x": "y", ANNOTATION: "then"}, "now") == {"x": "y", ANNOTATION: "now"}
    assert annotated({ANNOTATION: "then"}, "") == {}
