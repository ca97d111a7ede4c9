"""The course on running engines: what a student's first cell and the failure panel do, at each runtime level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import eventually, kubelab
from kubelab import course
from kubelab.course import anatomy, pods
from kubelab.course.lab import Lab
from kubelab.home import Home
from kubelab.widgets.failure_panel import FailurePanel


@pytest.fixture
def lab(engines: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("KUBELAB_HOME", str(engines.path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    made = course.start("04")
    yield made
    made.k8s.close()


def test_a_second_start_finds_the_namespace_empty(lab: Lab):
    lab.apply("without_probe.yaml")
    lab.wait_for("pod/without-probe")
    again = course.start("04")
    assert again.objects("pod") == [] and again.pods().rows == [] and again.events().rows == []


def test_the_engines_are_started_when_they_are_not_running(home: Home, images: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KUBELAB_HOME", str(home.path))
    home.images.rmdir()
    home.images.symlink_to(images)
    try:
        assert course.start("00").nodes.names() == ["node-1", "node-2"]
    finally:
        kubelab(home, "down")


def test_a_crash_is_restarted_without_a_probe_and_a_deadlock_only_with_one(lab: Lab):
    lab.apply("without_probe.yaml")
    lab.apply("with_probe.yaml")
    for name in ("without-probe", "with-probe"):
        lab.wait_for(f"pod/{name}")
        lab.press("deadlock", name)
    lab.wait_for("pod/with-probe", restarts=1, timeout=40)
    assert pods.restarts(lab.read("pod/without-probe")) == 0
    assert pods.last_exit(lab.read("pod/with-probe")) == "Error (exit code 137)"
    with pytest.raises(TimeoutError):
        lab.request("pod/without-probe", timeout=1)
    lab.press("crash", "without-probe")
    lab.wait_for("pod/without-probe", restarts=1)
    assert pods.last_exit(lab.read("pod/without-probe")) == "Error (exit code 1)"


def test_the_panel_shows_what_a_press_does(lab: Lab):
    lab.apply("with_probe.yaml")
    lab.wait_for("pod/with-probe")
    panel = FailurePanel(lab)
    try:
        eventually(lambda: panel.pods and panel.pods[0]["state"] == "ready", "the pod is shown")
        panel.press("crash", "with-probe")
        eventually(lambda: panel.pods[0]["restarts"] == 1, "the restart is shown")
        assert any(event["reason"] == "Started" for event in panel.events)
        panel.press("delete")
        eventually(lambda: panel.pods == [], "the pod is gone")
    finally:
        panel.close()


def test_what_the_api_server_refuses_is_said_in_its_words(lab: Lab):
    with pytest.raises(course.LabError, match="is invalid"):
        lab.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "No_Good"}, "spec": {"containers": []}})
    with pytest.raises(course.LabError, match="there is no pod/nobody"):
        lab.read("pod/nobody")
    with pytest.raises(course.NotInTime, match="There is no such object"):
        lab.wait_for("pod/nobody", timeout=0.5)


def test_apply_waits_for_a_namesake_that_is_still_going(lab: Lab):
    deaf = ["python", "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "deaf"},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "containers": [
                {"name": "c", "image": "kubelab/python", "imagePullPolicy": "IfNotPresent", "command": deaf},
            ],
        },
    }
    lab.apply(pod)
    lab.wait_for("pod/deaf")
    first = lab.read("pod/deaf")["metadata"]
    lab.core.delete_namespaced_pod("deaf", lab.namespace)
    lab.apply(pod)
    second = lab.read("pod/deaf")["metadata"]
    assert second["uid"] != first["uid"] and "deletionTimestamp" not in second
    lab.wait_for("pod/deaf")


def test_the_containers_of_a_pod_share_its_network_where_there_are_namespaces(lab: Lab):
    lab.apply((lab.root / "manifests" / "03_pods" / "pair.yaml").read_text())
    lab.wait_for("pod/pair")
    lab.follow_logs("pair", "companion", until="answers 200")
    shared = {row[0]: row[3] for row in anatomy.shared_table(lab, "pair").rows}
    isolated = {"net": "shared", "ipc": "shared", "uts": "shared", "pid": "own", "mnt": "own"}
    assert shared in (isolated, dict.fromkeys(isolated, "shared"))  # level process: everything is the machine's


def test_the_recorder_has_every_step_of_a_restart(lab: Lab):
    lab.apply("with_probe.yaml")
    lab.wait_for("pod/with-probe")
    recorder = lab.recorder
    assert recorder.unseen == {}
    assert {record.kind for record in recorder.recording.after()} >= {"Pod", "Event", "Node", "Namespace"}
    pressed = recorder.mark("crash")
    lab.press("crash", "with-probe")
    lab.wait_for("pod/with-probe", "restarted")
    assert recorder.recording.wait_for(
        lambda records: any(r.kind == "Pod" and r.changed.get("restarts") == [0, 1] for r in records), 10, pressed
    )
    last = recorder.recording.of("Pod/with-probe")[-1].state["containers"]["faulty"]["last"]
    assert last == {"reason": "Error", "exitCode": 1}


def test_the_recording_ends_with_the_namespace(lab: Lab):
    other = lab.beside("recorded")
    recorder = other.recorder
    other.remove()
    eventually(lambda: recorder.ended == "the namespace was deleted", "the recorder stops")
