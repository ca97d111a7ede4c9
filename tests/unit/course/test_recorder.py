"""The recorder: every watch event with its states and times, gaps told, files that come back as they went."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from harness import eventually
from kubelab.course import states
from kubelab.course.errors import LabError
from kubelab.course.recorder import Recorder
from kubelab.course.recording import KEPT, Record, Recording

from .cluster_double import ClusterDouble, pod


@pytest.fixture
def recorder(cluster: ClusterDouble) -> Iterator[Recorder]:
    cluster.put(pod("old"))
    made = Recorder(cluster.api(), "lab").start()
    yield made
    made.stop()


def whats(recorder: Recorder, target: str) -> list[str]:
    return [record.what for record in recorder.recording.of(target)]


def test_what_was_there_is_recorded_when_start_returns(recorder: Recorder):
    assert whats(recorder, "Pod/old") == ["PRESENT"]
    assert recorder.recording.at(recorder.now())["Pod/old"]["status"] == "Running"
    assert recorder.trouble == "" and recorder.running and recorder.unseen == {}


def test_each_change_is_recorded_with_what_differs(cluster: ClusterDouble, recorder: Recorder):
    cluster.put(pod("old", ready=False, restarts=1, waiting={"reason": "CrashLoopBackOff"}))
    cluster.drop("old")
    assert recorder.recording.wait_for(lambda records: any(r.what == "DELETED" for r in records), 5)
    assert whats(recorder, "Pod/old") == ["PRESENT", "MODIFIED", "DELETED"]
    modified = recorder.recording.of("Pod/old")[1]
    assert modified.changed["restarts"] == [0, 1] and modified.changed["Ready"] == [True, False]
    assert modified.changed["status"] == ["Running", "CrashLoopBackOff"] and "node" not in modified.changed
    assert modified.version and modified.at <= recorder.now() and modified.wall > 1.7e9


def test_one_can_step_back(cluster: ClusterDouble, recorder: Recorder):
    cluster.put(pod("new"))
    assert recorder.recording.wait_for(lambda records: any(r.target == "Pod/new" for r in records), 5)
    came = recorder.recording.of("Pod/new")[0].at
    assert "Pod/new" in recorder.recording.at(came) and "Pod/new" not in recorder.recording.at(came - 0.001)


def test_a_lost_connection_is_told_and_what_it_hid_is_found(cluster: ClusterDouble, recorder: Recorder):
    cluster.stop()
    eventually(lambda: recorder.trouble, "the recorder notices")
    assert "does not answer" in recorder.trouble
    cluster.put(pod("meanwhile"))
    cluster.drop("old")
    cluster.start()
    eventually(lambda: recorder.trouble == "", "the recorder is back")
    assert whats(recorder, "Pod/meanwhile") == ["ADDED"] and whats(recorder, "Pod/old")[-1] == "DELETED"
    about = [record.what for record in recorder.recording.after() if record.kind == "Recording"]
    assert about == ["LOST", "RESUMED"]


def test_after_a_gap_it_lists_again_and_repeats_nothing(cluster: ClusterDouble):
    cluster.put(pod("old"))
    cluster.gone = True
    recorder = Recorder(cluster.api(), "lab", kinds=("Pod",)).start()
    eventually(lambda: cluster.lists == 2, "it listed again")
    cluster.put(pod("new"))
    assert recorder.recording.wait_for(lambda records: any(r.target == "Pod/new" for r in records), 5)
    assert whats(recorder, "Pod/old") == ["PRESENT"]
    recorder.stop()


def test_after_the_stop_nothing_is_added(cluster: ClusterDouble, recorder: Recorder):
    recorder.mark("a note")
    recorder.stop("enough")
    number = len(recorder.recording)
    cluster.put(pod("late"))
    assert not recorder.recording.wait(number, timeout=0.3)
    assert [r.message for r in recorder.recording.after() if r.kind == "Recording"] == ["a note", "enough"]
    assert recorder.ended == "enough" and not recorder.running


def test_a_file_gives_back_what_was_saved(recorder: Recorder, tmp_path):
    recorder.mark("a note")
    recorder.recording.save(tmp_path / "r.json")
    again = Recording.load(tmp_path / "r.json")
    assert again.after() == recorder.recording.after() and again.namespace == "lab"
    assert abs(again.began - recorder.recording.began) < 0.001


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "Expecting"),
        ("[]", 'lacks "format"'),
        ('{"format": "kubelab-recording", "version": 9}', "version 9"),
        ('{"format": "kubelab-recording", "version": 1, "namespace": "x"}', "began"),
        (
            json.dumps({**Recording("x", 0.0).document(), "records": [{"at": "soon"}]}),
            "a part of it is missing or wrong",
        ),
    ],
)
def test_a_file_that_is_no_recording_is_refused(tmp_path, text, said):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(LabError, match=said):
        Recording.load(tmp_path / "r.json")


def test_old_records_make_room_and_are_counted():
    recording = Recording("lab", 0.0)
    for number in range(KEPT + 1):
        recording.add(Record(float(number), 0.0, "ADDED", "Pod", f"p{number}"))
    assert len(recording) == KEPT + 1 and recording.dropped == KEPT // 10
    assert recording.after(KEPT)[0].name == f"p{KEPT}" and recording.after(0)[0].name == f"p{KEPT // 10}"


def test_the_state_of_a_node_has_no_heartbeats():
    node = {
        "metadata": {"name": "n"},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]},
    }
    before = states.of("Node", node)
    node["status"]["conditions"][0]["lastHeartbeatTime"] = "2030-01-01T00:00:00Z"
    assert states.changed(before, states.of("Node", node)) == {} and before["taints"] == ["k:NoSchedule"]


def test_a_container_that_ended_is_told_from_one_that_runs_again():
    ended = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    found = pod("p", restarts=1)
    found["status"]["containerStatuses"][0]["lastState"] = ended
    container = states.of("Pod", found)["containers"]["c"]
    assert container["state"] == "running" and container["last"] == {"reason": "OOMKilled", "exitCode": 137}
