"""The timeline of a recording: rows for the page, the story of one object, the moment, and the file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kubelab.course.errors import LabError
from kubelab.course.recording import HERE, Record, Recording
from kubelab.widgets.timeline import Timeline, row, sentence


def pod(at: float, what: str, status: str, ready: bool = False, **state: Any) -> Record:
    whole = {"status": status, "Ready": ready, "ready": f"{int(ready)}/1", "restarts": 0, "terminating": False, **state}
    return Record(at, 0, what, "Pod", "web", state=whole, changed={"status": ["", status]})


@pytest.fixture
def recording() -> Recording:
    made = Recording("lab", 0)
    event = {"type": "Warning", "reason": "BackOff", "message": "Back-off", "about": "Pod/web"}
    for record in (
        pod(0.0, "ADDED", "Pending"),
        pod(1.0, "MODIFIED", "Running"),
        pod(2.0, "MODIFIED", "Running", ready=True),
        pod(2.5, "MODIFIED", "Running", ready=True),
        Record(3.0, 0, "MARK", HERE, "", message="pressed crash"),
        pod(4.0, "MODIFIED", "CrashLoopBackOff", restarts=1),
        Record(4.5, 0, "ADDED", "Event", "e", state=event),
        pod(5.0, "DELETED", "Running"),
    ):
        made.add(record)
    return made


@pytest.fixture
def timeline(recording: Recording) -> Timeline:
    return Timeline(SimpleNamespace(namespace="lab"), recording)


def test_the_story_of_an_object_tells_each_state_once(timeline: Timeline):
    assert timeline.story("Pod/web").rows == [
        ["○ Pending 0/1"],
        ["◐ Running 0/1"],
        ["● Running 1/1"],
        ["↻ CrashLoopBackOff 0/1, restarts 1"],
        ["– deleted"],
    ]
    assert "nothing was recorded of Pod/other" in str(timeline.story("Pod/other"))


def test_how_things_stood_at_a_moment(timeline: Timeline):
    assert timeline.standing(1.5).rows == [["Pod", "web", "◐ Running 0/1"]]
    assert timeline.standing(6).rows == []


def test_the_page_gets_the_rows_that_it_lacks_and_the_document(timeline: Timeline, monkeypatch):
    sent: list[dict] = []
    monkeypatch.setattr(timeline, "send", sent.append)
    timeline.press("rows", number=6)
    timeline.press("document")
    assert sent[0]["first"] == 6
    assert [each[2] for each in sent[0]["rows"]] == ["Event", "Pod"]
    assert Recording.from_document(sent[1]["document"]).after() == timeline.recording.after()
    with pytest.raises(LabError, match="no action"):
        timeline.press("melt")


def test_rows_and_sentences_say_the_same(recording: Recording):
    records = recording.after()
    assert row(records[5])[3:6] == ["web", "crashloop", "CrashLoopBackOff 0/1, restarts 1"]
    assert row(records[6])[4:] == ["Warning", "BackOff: Back-off", "Pod/web"]
    assert sentence(records[4]) == "     3.0 s  mark: pressed crash"
    assert sentence(records[6]).endswith("event about Pod/web: BackOff: Back-off")


def test_a_recording_that_is_over_says_so(timeline: Timeline):
    assert timeline.ended == "this is a recording"
    assert timeline.text().splitlines()[-1].endswith("Pod/web – deleted")
