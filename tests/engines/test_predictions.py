"""Every failure that the panel offers, predicted, caused and scored from the records, on running engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelab import course
from kubelab.course.lab import Lab
from kubelab.course.predictions import Score
from kubelab.course.progress import Progress
from kubelab.home import Home


@pytest.fixture
def lab(best_engines: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Lab]:
    monkeypatch.setenv("KUBELAB_HOME", str(best_engines.path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    made = course.start("04")
    made.progress = Progress(tmp_path)
    yield made
    if "recorder" in vars(made):
        made.recorder.stop()
    made.k8s.close()


def tried(lab: Lab, failure: str, pod: str, answer: str, **more: str) -> Score:
    lab.predict(failure, answer, **more)
    lab.press(failure, pod)
    return lab.predictions.trial.wait()


def truths(score: Score) -> dict[str, str]:
    return {answer.question.key: answer.truth for answer in score.answers}


CASES = [  # failure, manifest, pod, what is true, a quote from the records
    ("crash", "without_probe.yaml", "without-probe", {"outcome": "restarted", "code": "1"}, "RESTARTS 0 → 1"),
    ("deadlock", "without_probe.yaml", "without-probe", {"outcome": "nothing", "code": "none"}, ""),
    ("deadlock", "with_probe.yaml", "with-probe", {"outcome": "restarted", "code": "137"}, "event Unhealthy"),
    ("error", "with_probe.yaml", "with-probe", {"outcome": "restarted", "code": "0"}, "event Unhealthy"),
    ("slow", "with_probe.yaml", "with-probe", {"outcome": "restarted", "code": "137"}, "event Unhealthy"),
    ("slow-start", "without_probe.yaml", "without-probe", {"outcome": "at-once"}, "STATUS Running"),
    ("slow-start", "with_probe.yaml", "with-probe", {"outcome": "restarted"}, "RESTARTS 0 → 1"),
    ("slow-start", "readiness.yaml", "greeter-1", {"outcome": "later"}, "Ready"),
    ("leak", "without_probe.yaml", "without-probe", {"outcome": "restarted", "code": "137"}, "OOMKilled"),
    ("disk-full", "disk_full.yaml", "diary", {"outcome": "restarted"}, "500"),
    ("wrong-image", "without_probe.yaml", "without-probe", {"outcome": "no-image"}, "no-such-tag"),
    ("wrong-probe", "without_probe.yaml", "without-probe", {"outcome": "restarted"}, "404"),
    ("no-memory", "without_probe.yaml", "without-probe", {"outcome": "pending"}, "Insufficient memory"),
    ("unready", "readiness.yaml", "greeter-1", {"outcome": "unready", "service": "out"}, "not Ready"),
    ("delete", "without_probe.yaml", "without-probe", {"outcome": "gone", "service": "none"}, "is gone"),
]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("failure", "manifest", "pod", "truth", "quote"), CASES, ids=lambda value: str(value)[:24])
def test_what_the_records_say(lab: Lab, failure, manifest, pod, truth, quote):
    lab.apply(manifest)
    lab.wait_for(f"pod/{pod}")
    score = tried(lab, failure, pod, truth["outcome"], **{key: said for key, said in truth.items() if key != "outcome"})
    assert truths(score) == truth, score.text()
    assert score.right and quote in "\n".join(score.records), score.text()


@pytest.mark.timeout(180)
def test_a_deleted_copy_is_replaced_and_the_wrong_answer_is_explained(lab: Lab):
    lab.apply("deployment.yaml")
    lab.wait_for("deployment/web", "complete")
    score = tried(lab, "delete", lab.objects("pod")[0]["metadata"]["name"], "restarted")
    assert truths(score) == {"outcome": "replaced"} and not score.right
    assert "is made by ReplicaSet/web-" in "\n".join(score.records)
    text = score.text()
    assert "A pod that is gone never comes back" in text and "And your answer?" in text


@pytest.mark.timeout(240)
@pytest.mark.parametrize("failure", ["node-lost", "node-cut"])
def test_pods_of_a_node_that_is_not_heard(lab: Lab, failure: str):
    if why := course.faults.able(lab, failure):
        pytest.skip(why)
    lab.apply("replicationcontroller.yaml")
    lab.wait_for("pods", lambda found: len(found) == 3 and all(map(course.pods.is_ready, found)), what="are ready")
    pod = next(found for found in lab.objects("pod") if course.pods.node(found) == "node-2")
    try:
        score = tried(lab, failure, pod["metadata"]["name"], "replaced")
        assert score.right, score.text()
    finally:
        lab.nodes.start("node-2")
        lab.nodes.wait_for("node-2", ready=True)


def test_a_wrong_image_in_a_deployment_leaves_the_old_pods_alone(lab: Lab):
    lab.apply("deployment.yaml")
    lab.wait_for("deployment/web", "complete")
    old = {found["metadata"]["name"] for found in lab.objects("pod")}
    score = tried(lab, "wrong-image", min(old), "no-image")
    assert score.right, score.text()
    assert len(old & {found["metadata"]["name"] for found in lab.objects("pod") if course.pods.is_ready(found)}) >= 2


def test_the_score_is_printed_and_kept(lab: Lab, capsys: pytest.CaptureFixture[str]):
    lab.predict("crash")
    assert "What does Kubernetes do with the pod?" in capsys.readouterr().out
    with pytest.raises(course.LabError, match="nothing was predicted"):
        lab.score()
    lab.apply("without_probe.yaml")
    lab.wait_for("pod/without-probe")
    lab.predict("crash", "nothing")
    with pytest.raises(course.LabError):
        lab.press("crash", "nobody")
    lab.press("crash", "without-probe")
    lab.score()
    out = capsys.readouterr().out
    assert "✗ not as you said" in out and "RESTARTS 0 → 1, after Error (exit code 1)" in out
    kept = lab.progress.read()["predictions"]["04/crash/without-probe"]
    assert kept["tries"] == 1 and not kept["right"] and not kept["first"]
