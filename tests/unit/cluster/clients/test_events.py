"""The event recorder: alike events are counted, nearly alike ones combined, too many dropped."""

from __future__ import annotations

from typing import Any

from kubelab.clock import VirtualClock
from kubelab.cluster.client import Forbidden, NotFound, Unavailable
from kubelab.cluster.events import EventRecorder

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "shop", "uid": "u", "resourceVersion": "7"},
}


class Written:
    """The API's side: events by name, as they are after every write."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.errors: list[Exception] = []

    async def create(self, resource: Any, event: dict[str, Any]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.events[event["metadata"]["name"]] = dict(event)

    async def patch(self, resource: Any, name: str, patch: dict[str, Any], namespace: str) -> None:
        if name not in self.events:
            raise NotFound({"message": "gone"})
        self.events[name].update(patch)

    def all(self) -> list[dict[str, Any]]:
        return list(self.events.values())


def make(host: str = "node-1") -> tuple[VirtualClock, Written, EventRecorder]:
    clock, written = VirtualClock(), Written()
    return clock, written, EventRecorder(written, "kubelet", host, clock=clock)


async def test_an_event_has_every_field_that_clients_read():
    _, written, recorder = make()
    recorder.event(POD, "Warning", "BackOff", "Back-off", field_path="spec.containers{app}")
    await recorder.flush()
    (event,) = written.all()
    name = event["metadata"].pop("name")
    assert name.startswith("p.") and int(name.removeprefix("p."), 16)
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop"},
        "involvedObject": {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": "shop",
            "name": "p",
            "uid": "u",
            "resourceVersion": "7",
            "fieldPath": "spec.containers{app}",
        },
        "reason": "BackOff",
        "message": "Back-off",
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
        "type": "Warning",
        "eventTime": None,
        "reportingComponent": "kubelet",
        "reportingInstance": "node-1",
    }


async def test_the_same_event_again_is_counted():
    clock, written, recorder = make()
    for _ in range(3):
        recorder.event(POD, "Warning", "Unhealthy", "probe failed")
        await recorder.flush()
        await clock.advance(10)
    (event,) = written.all()
    assert (event["count"], event["firstTimestamp"], event["lastTimestamp"]) == (
        3,
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:20Z",
    )


async def test_ten_that_differ_in_their_message_are_combined():
    _, written, recorder = make()
    for number in range(12):
        recorder.event(POD, "Normal", "Created", f"message {number}")
    await recorder.flush()
    events = written.all()
    assert len(events) == 10
    assert events[-1]["message"] == "(combined from similar events): message 11"
    assert events[-1]["count"] == 3


async def test_after_ten_quiet_minutes_nothing_is_combined_any_more():
    clock, written, recorder = make()
    for number in range(9):
        recorder.event(POD, "Normal", "Created", f"message {number}")
    await recorder.flush()
    await clock.advance(601)
    recorder.event(POD, "Normal", "Created", "message 9")
    await recorder.flush()
    assert "combined" not in written.all()[-1]["message"]


async def test_one_source_may_tell_25_about_one_object_and_then_one_in_five_minutes():
    clock, written, recorder = make()
    for _ in range(40):
        recorder.event(POD, "Warning", "Unhealthy", "probe failed")
    await recorder.flush()
    assert written.all()[0]["count"] == 25
    await clock.advance(300)
    recorder.event(POD, "Warning", "Unhealthy", "probe failed")
    await recorder.flush()
    assert written.all()[0]["count"] == 41, "what was dropped was still counted"


async def test_about_a_cluster_scoped_object_it_is_in_the_namespace_default():
    _, written, recorder = make()
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1", "uid": "node-1"}}
    recorder.event(node, "Normal", "Starting", "Starting kubelet.")
    await recorder.flush()
    (event,) = written.all()
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


async def test_an_event_that_has_expired_is_written_anew():
    _, written, recorder = make()
    recorder.event(POD, "Normal", "Pulled", "pulled")
    await recorder.flush()
    written.events.clear()
    recorder.event(POD, "Normal", "Pulled", "pulled")
    await recorder.flush()
    assert [event["count"] for event in written.all()] == [2]


async def test_without_an_answer_it_tries_again_and_when_refused_it_does_not():
    clock, written, recorder = make()
    written.errors = [Unavailable({"message": "no answer"})]
    recorder.event(POD, "Normal", "Pulled", "pulled")
    await clock.advance(10)
    await recorder.flush()
    assert len(written.all()) == 1
    written.errors = [Forbidden({"message": "no"})]
    recorder.event(POD, "Normal", "Other", "refused")
    await recorder.flush()
    recorder.event(POD, "Normal", "Third", "goes on")
    await recorder.flush()
    assert [event["reason"] for event in written.all()] == ["Pulled", "Third"]
