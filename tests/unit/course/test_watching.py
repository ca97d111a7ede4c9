"""Snapshots of a set that changes, and waits with a deadline."""

from __future__ import annotations

import threading
import time

import pytest
from kubernetes import client

from kubelab.course import waiting
from kubelab.course.errors import LabError, NotInTime
from kubelab.course.watching import snapshots

from .cluster_double import ClusterDouble, pod


def lister(cluster: ClusterDouble):
    return client.CoreV1Api(cluster.api()).list_namespaced_pod


def test_a_snapshot_comes_at_once_and_after_each_change(cluster: ClusterDouble):
    cluster.put(pod("a"))
    seen = snapshots(lister(cluster), "lab", stop=threading.Event(), deadline=time.monotonic() + 10)
    assert sorted(next(seen)) == ["a"]
    cluster.put(pod("b"))
    assert sorted(next(seen)) == ["a", "b"]
    cluster.drop("a")
    assert sorted(next(seen)) == ["b"]
    assert cluster.lists == 1


def test_after_a_gap_it_lists_again(cluster: ClusterDouble):
    cluster.put(pod("a"))
    cluster.gone = True
    seen = snapshots(lister(cluster), "lab", stop=threading.Event(), deadline=time.monotonic() + 10)
    assert sorted(next(seen)) == ["a"]
    assert sorted(next(seen)) == ["a"]
    assert cluster.lists == 2


def test_a_set_stop_ends_it(cluster: ClusterDouble):
    stop = threading.Event()
    stop.set()
    assert list(snapshots(lister(cluster), "lab", stop=stop)) == []


def test_until_returns_as_soon_as_the_condition_holds(cluster: ClusterDouble):
    cluster.put(pod("a", ready=False))
    threading.Timer(0.2, lambda: cluster.put(pod("a", ready=True))).start()
    found, seconds = waiting.until(
        lister(cluster),
        "lab",
        condition=lambda pods: waiting.has_condition(pods[0], "Ready"),
        what="a Ready",
        timeout=10,
    )
    assert found[0]["metadata"]["name"] == "a" and seconds < 5


def test_until_says_what_it_was_like_at_the_deadline(cluster: ClusterDouble):
    cluster.put(pod("a", ready=False, restarts=4, waiting={"reason": "CrashLoopBackOff"}))
    with pytest.raises(NotInTime) as raised:
        waiting.until(lister(cluster), "lab", condition=lambda pods: False, what="pod/a Ready", timeout=0.5)
    assert str(raised.value).startswith(
        "Waited 0.5 s in vain for pod/a Ready. Now: a CrashLoopBackOff, ready 0/1, restarts 4."
    )


def test_until_says_that_the_api_is_away(cluster: ClusterDouble):
    list_pods = lister(cluster)
    cluster.stop()
    with pytest.raises(LabError, match="kubelab doctor"):
        waiting.until(list_pods, "lab", condition=lambda pods: True, what="x", timeout=5)


def test_restarted_means_running_again():
    again = pod("a", restarts=1)
    assert waiting.restarted(again, 1) and not waiting.restarted(again, 2)
    assert not waiting.restarted(pod("a", restarts=1, waiting={"reason": "CrashLoopBackOff"}), 1)


def test_a_rollout_is_complete_when_every_copy_is_new_and_available():
    deployment = {
        "metadata": {"name": "d", "generation": 2},
        "spec": {"replicas": 2, "strategy": {}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }
    assert waiting.up_to_date(deployment)
    for field, value in (("observedGeneration", 1), ("updatedReplicas", 1), ("replicas", 3), ("availableReplicas", 1)):
        behind = {**deployment, "status": {**deployment["status"], field: value}}
        assert not waiting.up_to_date(behind), field
