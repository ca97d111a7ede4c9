"""The failure panel without a browser: what its traits say, what a press does, what happens when the API is away."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from kubelab.course.errors import LabError
from kubelab.course.lab import Lab
from kubelab.course.watching import READ_TIMEOUT
from kubelab.widgets import feed as feed_module
from kubelab.widgets.failure_panel import FailurePanel, announcement, button, event_rows, limits, node_row, pod_row
from kubelab.widgets.feed import Feed, View

from .cluster_double import ClusterDouble, pod


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def lab_on(cluster: ClusterDouble) -> Lab:
    """A lab whose progress is in memory, whose machines are the course's, and which has no images."""
    engines = SimpleNamespace(api_client=cluster.api, embedded=True, docker_host=None, kubeconfig=None)
    lab = Lab("04", engines, cluster.api(), Path("/nowhere"))
    lab.namespace = "lab"
    lab.nodes = SimpleNamespace(embedded=True, off=set(), unable=lambda action: "")
    lab.progress = SimpleNamespace(predicted=lambda name, right: None)
    return lab


@pytest.fixture
def panel(cluster: ClusterDouble) -> Iterator[FailurePanel]:
    cluster.put(pod("web"))
    made = FailurePanel(lab_on(cluster))
    eventually(lambda: bool(made.pods), "the pod is shown")
    yield made
    made.close()


def test_the_picture_follows_the_cluster(panel: FailurePanel, cluster: ClusterDouble):
    assert panel.chosen == "web" and panel.pods[0]["shape"] == "●"
    cluster.put(pod("web", ready=False, restarts=1, waiting={"reason": "CrashLoopBackOff"}))
    eventually(lambda: panel.pods[0]["restarts"] == 1, "the restart is shown")
    assert panel.pods[0]["state"] == "crashloop" and panel.said == "web was restarted, 1 in all"
    assert "> ↻ web CrashLoopBackOff, ready 0/1, restarts 1" in panel.text()
    cluster.drop("web")
    eventually(lambda: panel.pods == [] and panel.said == "web is gone", "the pod has left")


def test_a_press_from_code_and_one_from_a_button_do_the_same(panel: FailurePanel, cluster: ClusterDouble):
    panel.press("deadlock", "web")
    panel._pressed(panel, {"predict": "deadlock", "answer": "nothing", "pod": "web"}, [])
    panel._pressed(panel, {"press": "deadlock", "pod": "web"}, [])
    assert [path for path in cluster.proxied if path[0] == "POST"] == [("POST", "fault/deadlock")] * 2
    assert panel.said == "Deadlock → web: the process runs on and answers nobody"


def test_a_bad_press_is_refused_in_code_and_said_in_the_picture(panel: FailurePanel):
    with pytest.raises(LabError, match="there is no failure 'melt'"):
        panel.press("melt", "web")
    panel._pressed(panel, {"press": "melt", "pod": "web"}, [])
    assert "there is no failure" in panel.said


def test_requests_to_the_chosen_pod_are_counted(panel: FailurePanel):
    eventually(lambda: len(panel.answers) >= 2, "two requests were made")
    assert all(panel.answers) and "answered, 0 not" in panel.text()


def test_it_says_that_the_api_is_away_and_comes_back(panel: FailurePanel, cluster: ClusterDouble):
    cluster.stop()
    eventually(lambda: "does not answer" in panel.trouble, "the trouble is said")
    assert panel.trouble in panel.text() and panel.pods
    cluster.start()
    cluster.put(pod("second"))
    eventually(lambda: not panel.trouble and len(panel.pods) == 2, "it is live again")


def test_stopping_leaves_the_last_picture_and_a_newer_panel_stops_an_older(panel: FailurePanel, cluster: ClusterDouble):
    newer = FailurePanel(lab_on(cluster))
    assert panel.ended == "a newer one took its place" and [row["name"] for row in panel.pods] == ["web"]
    newer.stop()
    assert newer.ended and "stopped, stop() was called" in newer.text()
    newer.close()


def test_a_node_is_lost_and_comes_back_only_where_the_machines_are_the_courses(panel: FailurePanel):
    node = {"metadata": {"name": "node-1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert node_row(node, set())["ready"]
    assert node_row(node, {"node-1"}) | {"shape": ""} == {
        "name": "node-1",
        "ready": False,
        "state": "ready",
        "shape": "",
        "status": "Ready, switched off",
    }
    assert button("node-lost", "lab", "", able=True)["able"]
    assert not button("node-lost", "lab", "", able=False)["able"]
    with pytest.raises(LabError, match="no node is away"):
        panel.press("node-back")


def test_closing_ends_the_threads(cluster: ClusterDouble):
    feed = Feed(cluster.api(), "lab", "", lambda view: None)
    feed.start()
    feed.close(timeout=READ_TIMEOUT + 2)
    assert not [thread for thread in feed._threads if thread.is_alive()]


def test_it_publishes_at_most_so_often(cluster: ClusterDouble):
    published: list[float] = []
    enough = threading.Event()

    def publish(view: View) -> None:
        published.append(time.monotonic())
        if "p39" in view.pods:
            enough.set()

    feed = Feed(cluster.api(), "lab", "", publish)
    feed.start()
    for number in range(40):
        cluster.put(pod(f"p{number}"))
    assert enough.wait(10), "the newest state is published in the end"
    feed.close()
    gaps = [later - earlier for earlier, later in itertools.pairwise(published)]
    assert all(gap >= 0.9 / feed_module.PER_SECOND for gap in gaps)


def test_its_repr_is_the_same_in_every_run(panel: FailurePanel):
    bundle = panel._repr_mimebundle_()[0]
    assert bundle["text/plain"] == "Failure panel · lab: run the cell to use it; `.text()` says the same in words."


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        ([], [pod("a")], ""),
        ([pod("a")], [pod("a"), pod("b")], "b is new"),
        ([pod("a")], [pod("a", "Succeeded", False)], "a: Succeeded"),
        ([pod("a"), pod("b")], [pod("b", restarts=2)], "b was restarted, 2 in all; a is gone"),
    ],
)
def test_announcements(before: list, after: list, news: str):
    assert announcement([pod_row(p) for p in before], [pod_row(p) for p in after]) == news


def test_events_of_other_pods_are_left_out_and_the_newest_comes_first():
    def event(name: str, kind: str, last: str) -> dict:
        return {
            "reason": "R",
            "message": name,
            "type": "Warning",
            "lastTimestamp": last,
            "involvedObject": {"kind": kind, "name": name},
            "metadata": {},
        }

    rows = event_rows([event("a", "Pod", "1"), event("b", "Pod", "2"), event("rs", "ReplicaSet", "3")], {"a"})
    assert [row["message"] for row in rows] == ["rs", "a"] and rows[0]["warning"]


def test_a_button_is_locked_until_a_prediction_is_given_for_this_failure_and_pod(panel, cluster: ClusterDouble):
    assert panel.locked("crash", "web") and not panel.locked("recover", "web")
    panel._pressed(panel, {"press": "crash", "pod": "web"}, [])
    assert "First say what will happen" in panel.said
    panel._pressed(panel, {"predict": "crash", "answer": "melted", "pod": "web"}, [])
    assert "none of the answers" in panel.said and panel.locked("crash", "web")
    panel._pressed(panel, {"predict": "crash", "answer": "restarted", "pod": "web"}, [])
    assert panel.given == {"crash/web": "restarted"} and panel.locked("crash", "other")
    assert [path for path in cluster.proxied if path[0] == "POST"] == []


def test_a_prediction_is_scored_when_the_records_decide_it(panel, cluster: ClusterDouble):
    panel.predict("crash", "replaced", "web")
    panel.press("crash", "web")
    again = pod("web", restarts=1)
    again["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"reason": "Error", "exitCode": 1}}
    cluster.put(again)
    eventually(lambda: panel.verdict, "the prediction is scored")
    assert panel.verdict["right"] is False and panel.verdict["pod"] == "web"
    assert panel.verdict["records"] == ["pod web: RESTARTS 0 → 1, after Error (exit code 1)"]
    assert "A pod that is gone" not in panel.verdict["answers"][0]["explain"]
    assert "in place" in panel.text() and "✗ not as you said" in panel.text()


def test_a_panel_without_predictions_locks_nothing(cluster: ClusterDouble):
    panel = FailurePanel(lab_on(cluster), predict=False)
    assert not panel.locked("crash", "web") and panel.questions == {}
    panel.close()


def test_what_the_engines_cannot_do_is_said_with_the_reason():
    assert limits({"crash": "", "delete": ""}) == "These engines can do all of them."
    said = limits({"crash": "", "node-lost": "not ours", "node-cut": "not ours"})
    assert said == "Not here: Lose node, Cut off node (not ours)."
