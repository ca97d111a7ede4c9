"""The labs on running engines, as their buttons use them: what is predicted is measured, what is said has happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness import eventually
from kubelab import course
from kubelab.course.lab import Lab
from kubelab.home import Home
from kubelab.widgets.blast_radius import BlastRadius
from kubelab.widgets.failure_grid import FailureGrid
from kubelab.widgets.layer_lab import LayerLab
from kubelab.widgets.pod_anatomy import PodAnatomy
from kubelab.widgets.probe_budget import ProbeBudget, verdict
from kubelab.widgets.reconcile_trace import ReconcileTrace
from kubelab.widgets.timeline import Timeline


@pytest.fixture
def chapter(best_engines: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Lab]]:
    monkeypatch.setenv("KUBELAB_HOME", str(best_engines.path))
    monkeypatch.delenv("KUBELAB_CONTEXT", raising=False)
    made: list[Lab] = []

    def start(number: str) -> Lab:
        made.append(course.start(number))
        return made[-1]

    yield start
    for lab in made:
        lab.recorder.stop()
        lab.k8s.close()


@pytest.mark.timeout(180)
def test_a_probe_finds_a_failure_when_its_numbers_say(chapter):
    budget = ProbeBudget(chapter("04"))
    try:
        for failure in ("deadlock", "exception"):
            budget.choose(failure, period=1, timeout=1, threshold=2)
            budget.measure()
            budget.wait()
        assert [verdict(one) for one in budget.measured] == ["as predicted", "as predicted"]
        assert all(len(one["unhealthy"]) == 2 for one in budget.measured)
        with pytest.raises(course.LabError, match="periodSeconds is 1 to 10 here, not 0"):
            budget.choose(period=0)
        assert budget.lab.objects("pod") == []
    finally:
        budget.close()


@pytest.mark.timeout(180)
def test_every_cell_of_the_grid_is_a_live_run(chapter):
    grid = FailureGrid(chapter("04"))
    try:
        grid.guess("deadlock", "no probe", "failed")
        grid.guess("deadlock", "liveness", "failed")
        grid.run()
        with pytest.raises(course.LabError, match="still at work"):
            grid.run()
        grid.wait()
        rows = {row[0]: row[1:] for row in grid.table().rows}
        never = "runs on and answers nobody, for ever"
        assert [cell == never for cell in rows["deadlock"]] == [True, False, False, False, True]
        assert rows["crash"][0] == "restarted (exit code 1), answers"
        assert rows["slow start"][1] == "killed while it starts, again and again"
        assert "OOMKilled" in rows["memory leak"][0]
        assert all(row[3].startswith("stays down") for row in rows.values())
        assert grid.said == "done; 1 of 2 predictions were right"
        with pytest.raises(course.LabError, match="it is known by now"):
            grid.guess("crash", "no probe", "ready")
    finally:
        grid.close()


@pytest.mark.timeout(180)
def test_the_trace_shows_a_pod_that_leaves_and_comes_back(chapter):
    lab = chapter("04")
    lab.apply("replicaset.yaml")
    lab.wait_for("replicaset/rs", "complete")
    trace = ReconcileTrace(lab, "replicaset/rs")
    try:
        eventually(lambda: trace.chosen, "a pod is chosen")
        left = trace.chosen
        trace.press("relabel")
        eventually(lambda: any(turn.released == (left,) for turn in trace.trace.turns), "it is released")
        eventually(lambda: trace.trace.turns[-1].difference == 0, "another one was made")
        trace.press("restore", pod=left)
        eventually(lambda: any(turn.adopted == (left,) for turn in trace.trace.turns), "it is adopted")
        eventually(lambda: trace.turns[0]["matched"] and len(trace.turns[0]["matched"]) == 3, "one was deleted")
        assert any("SuccessfulDelete" in did for turn in trace.trace.turns for did in turn.did)
        assert "1 too many: delete" in trace.text()
        lab.wait_for("pods", lambda found: len(found) == 3, what="three are left")
        trace.settle()
        assert trace.text(last=1) == "wanted 3, matched 3, counted 3 → as wanted: nothing to do"
    finally:
        trace.close()
    with pytest.raises(course.LabError, match="follows replicaset"):
        ReconcileTrace(lab, "deployment/web")


@pytest.mark.timeout(120)
def test_the_anatomy_is_read_from_inside_and_two_containers_cannot_have_one_port(chapter):
    lab = chapter("03")
    lab.apply("pair.yaml")
    lab.wait_for("pod/pair")
    anatomy = PodAnatomy(lab, "pair")
    try:
        shared = {row["kind"]: row["bars"][0]["shared"] for row in anatomy.kinds}
        assert shared == {"net": True, "ipc": True, "uts": True, "pid": False, "mnt": False}
        anatomy.press("break")
        anatomy.wait()
        assert [each["status"] for each in anatomy.clash] == ["Running", "CrashLoopBackOff"]
        assert "Address already in use" in anatomy.clash[1]["log"]
    finally:
        anatomy.close()


@pytest.mark.timeout(120)
def test_a_deadlock_hits_the_whole_monolith_and_one_microservice(chapter):
    lab = chapter("01")
    lab.apply("monolith.yaml")
    lab.apply("microservices.yaml")
    for name in ("shop", "catalog", "orders", "payments"):
        lab.wait_for(f"deployment/{name}", "complete")
    radius = BlastRadius(lab)
    try:
        radius.deal("deadlock", "payments")
        radius.wait()
        radius.deal("release", "payments")
        radius.wait()
        table = {(row[0], row[1]): row[2:] for row in radius.table().rows}
        assert table["deadlock in payments", "browse"] == ["lost to the end", "all answered"]
        assert table["release a change in payments", "browse"] == ["lost for a while", "all answered"]
        assert all(found["seconds"] > 0 for found in radius.results[0]["forms"].values())
        with pytest.raises(course.LabError, match="not melt in payments"):
            radius.deal("melt")
    finally:
        radius.close()


@pytest.mark.timeout(120)
def test_the_timeline_tells_the_story_of_a_crash_and_goes_back(chapter):
    lab = chapter("04")
    timeline = Timeline(lab)
    try:
        lab.apply("without_probe.yaml")
        lab.wait_for("pod/without-probe")

        def ready() -> list[float]:
            return [each.at for each in timeline.recording.of("Pod/without-probe") if each.state["Ready"]]

        eventually(ready, "the recording has heard of it, too")
        lab.press("crash", "without-probe")
        lab.wait_for("pod/without-probe", restarts=1)
        eventually(lambda: timeline.story("Pod/without-probe").rows[-1] == ["● Running 1/1, restarts 1"], "it is back")
        assert ["● Running 1/1"] in timeline.story("Pod/without-probe").rows
        assert ["Pod", "without-probe", "● Running 1/1"] in timeline.standing(ready()[0]).rows
        assert timeline.trouble == "" and timeline.ended == ""
    finally:
        timeline.close()


@pytest.mark.timeout(120)
def test_the_layer_lab_says_what_was_done_again_what_is_new_and_what_is_wasted(chapter, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM kubelab/python\nWORKDIR /hello\nRUN echo library > library.txt\nCOPY hello.py .\nRUN rm library.txt\n"
    )
    (tmp_path / "hello.py").write_text("print('hello')\n")
    layer_lab = LayerLab(chapter("02"), tmp_path, tag="kubelab/layer-lab-test")
    try:
        layer_lab.build(nocache=True)
        layer_lab.wait()
        assert [layer["shared"] for layer in layer_lab.layers] == [True, False, False, False, False]
        assert layer_lab.layers[2]["wasted"] == len("library\n")
        layer_lab.edit("hello.py", "print('hello, you')\n")
        layer_lab.build()
        layer_lab.wait()
        assert [step["cached"] for step in layer_lab.steps] == [False, True, True, False, False]
        assert [layer["shared"] for layer in layer_lab.layers] == [True, True, True, False, False]
        assert layer_lab.builds[-1]["fresh"] == len("print('hello, you')\n")
        layer_lab.edit("Dockerfile", "FROM kubelab/python\nRUN false\n")
        layer_lab.build()
        with pytest.raises(course.LabError, match="returned a non-zero code: 1"):
            layer_lab.wait()
        with pytest.raises(course.LabError, match=r"is not among Dockerfile, hello\.py"):
            layer_lab.edit("/etc/passwd", "")
    finally:
        for image in layer_lab.images:
            layer_lab.lab.docker.images.remove(image.id, force=True)
        layer_lab.close()
