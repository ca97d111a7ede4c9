"""Predictions without a cluster: what counts as which answer, how long is watched, what is refused."""

from __future__ import annotations

import pytest

from kubelab.course import states
from kubelab.course.aftermath import Aftermath
from kubelab.course.errors import LabError
from kubelab.course.faults import FAULTS, NODE_FAULTS
from kubelab.course.predictions import Predictions, question_data, question_text, window
from kubelab.course.questions import FINAL, QUESTIONS, main, outcome
from kubelab.course.recording import Record, Recording
from kubelab.course.remaking import merged

from .cluster_double import pod


class Story:
    """A recording that is written by hand: each step is the newest state of a pod, a second after the one before."""

    def __init__(self, owner: str = "") -> None:
        self.recording, self.owner, self.known = Recording("lab", 0.0), owner, {}
        self.step(pod("web"), "PRESENT")
        self.pressed = len(self.recording)

    def step(self, obj: dict, what: str = "MODIFIED", uid: str = "1") -> Story:
        name, at = obj["metadata"]["name"], float(len(self.recording))
        if self.owner:
            kind, owner = self.owner.split("/")
            obj["metadata"]["ownerReferences"] = [{"kind": kind, "name": owner, "controller": True}]
        state, before = states.of("Pod", obj), self.known.get(uid, {})
        self.known[uid] = state
        changed = states.changed(before, state) if before else {}
        self.recording.add(Record(at, at, what, "Pod", name, uid, str(at), state, changed))
        return self

    def after(self, **options) -> Aftermath:
        return Aftermath(self.recording, self.pressed, "web", **options)


def ended(name: str, code: int, reason: str = "Error") -> dict:
    found = pod(name, restarts=1)
    found["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"reason": reason, "exitCode": code}}
    return found


def leaving(name: str) -> dict:
    found = pod(name)
    found["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    return found


def test_nothing_recorded_is_nothing():
    after = Story().after()
    assert outcome(after) == "nothing" and after.quotes() == [] and after.service == "none"


def test_a_restart_with_its_exit_code():
    after = Story().step(ended("web", 137, "OOMKilled")).after()
    assert outcome(after) == "restarted" and after.ended == {"reason": "OOMKilled", "exitCode": 137}
    assert after.quotes() == ["pod web: RESTARTS 0 → 1, after OOMKilled (exit code 137)"]


def test_a_restart_before_the_press_does_not_count():
    story = Story().step(ended("web", 1))
    story.pressed = len(story.recording)
    assert outcome(story.step(ended("web", 1)).after()) == "nothing"


def test_gone_stuck_and_replaced_are_told_apart():
    assert outcome(Story().step(leaving("web")).after()) == "stuck"
    assert outcome(Story().step(leaving("web")).step(leaving("web"), "DELETED").after()) == "gone"
    owned = Story("ReplicaSet/web-1").step(leaving("web")).step(pod("web-x", ready=False), "ADDED", uid="2")
    assert outcome(owned.after()) == "replaced" and not owned.after().heir_ready
    assert owned.step(pod("web-x"), uid="2").after().heir_ready
    other = Story("ReplicaSet/web-1").step(leaving("web"))
    other.owner = "Job/else"
    assert outcome(other.step(pod("job-x"), "ADDED", uid="3").after()) == "stuck"


def test_unready_is_neither_restarted_nor_nothing_and_may_pass():
    story = Story().step(pod("web", ready=False))
    assert outcome(story.after()) == "unready" and story.after().quotes() == ["pod web: not Ready"]
    assert outcome(story.step(pod("web")).after()) == "nothing"


def test_of_a_remade_pod_the_new_one_counts():
    story = Story().step(leaving("web")).step(leaving("web"), "DELETED")
    new = pod("web", phase="Pending", ready=False, waiting={"reason": "ErrImagePull"})
    story.step(new, "ADDED", uid="2")
    assert outcome(story.after(remade=True)) == "no-image" and outcome(story.after()) == "gone"


def test_what_happened_after_the_window_does_not_count():
    story = Story().step(ended("web", 1))
    assert outcome(story.after(until=0.5)) == "nothing"


def test_a_service_that_stops_sending_requests():
    story = Story()
    story.recording.add(Record(1, 1, "PRESENT", "EndpointSlice", "s", state={"service": "s", "pods": {"web": True}}))
    story.pressed = len(story.recording)
    assert story.after().service == "in"
    story.recording.add(Record(2, 2, "MODIFIED", "EndpointSlice", "s", state={"service": "s", "pods": {"web": False}}))
    assert story.after().service == "out"


def test_the_window_is_as_long_as_the_probes_need():
    plain = pod("web")
    assert window("deadlock", plain) == 5
    plain["spec"]["containers"][0]["livenessProbe"] = {"periodSeconds": 10, "initialDelaySeconds": 5}
    plain["spec"]["terminationGracePeriodSeconds"] = 1
    assert window("deadlock", plain) == 5 + (5 + 3 * 10 + 1) + 1
    plain["spec"]["tolerations"] = [{"tolerationSeconds": 300}]
    assert window("node-lost", plain) == 360


def test_every_failure_but_the_repairs_has_a_question_with_all_its_texts():
    assert {*FAULTS, *NODE_FAULTS} - set(QUESTIONS) == {"recover", "node-back"} and main("recover") is None
    for failure, asked in QUESTIONS.items():
        for question in asked:
            assert len(question.options) >= 3 and question.text.endswith("?"), failure
            for key in question.options:
                assert question.explain[key] and question.mistaken[key], (failure, key)
        assert set(asked[0].options) & {*FINAL, "unready", "at-once"}, failure
        assert question_data(failure)["options"] and f'lab.predict("{failure}"' in question_text(failure)


def test_a_prediction_that_cannot_be_is_refused():
    predictions = Predictions()
    for failure, answers, said in (
        ("melt", {"outcome": "x"}, "nothing to predict of 'melt'"),
        ("crash", {"outcome": "x"}, "none of the answers"),
        ("crash", {"colour": "red"}, "no question 'colour'"),
        ("crash", {"code": "1"}, "main question"),
    ):
        with pytest.raises(LabError, match=said):
            predictions.give(failure, answers)
    assert predictions.given == {}


def test_a_change_is_merged_by_the_names_of_things():
    base = {"spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}]}, {"name": "b"}]}}
    patch = {"spec": {"nodeName": None, "containers": [{"name": "a", "env": [{"name": "F", "value": "2"}]}]}}
    first, second = merged(base, patch)["spec"]["containers"]
    assert first["image"] == "x" and [each["name"] for each in first["env"]] == ["E", "F"] and second == {"name": "b"}
