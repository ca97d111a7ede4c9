"""What pods and events say, and that tables are the same in every run."""

from __future__ import annotations

import pytest

from kubelab.course import pods, tables

from .cluster_double import pod


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (pod("a"), "Running"),
        (pod("a", "Pending", False, waiting={"reason": "ContainerCreating"}), "ContainerCreating"),
        (pod("a", "Running", False, waiting={"reason": "CrashLoopBackOff"}), "CrashLoopBackOff"),
        (pod("a", "Running", False, terminated={"exitCode": 137, "reason": "OOMKilled"}), "OOMKilled"),
        (pod("a", "Failed", False, terminated={"exitCode": 3}), "ExitCode:3"),
        (pod("a", "Failed", False, terminated={"signal": 9}), "Signal:9"),
        ({**pod("a"), "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, "Terminating"),
        ({"metadata": {"name": "a"}, "spec": {"containers": []}, "status": {}}, "Pending"),
    ],
)
def test_status_is_what_kubectl_shows(shown: dict, status: str):
    assert pods.status(shown) == status


def test_a_pod_on_its_way_out_is_not_ready():
    leaving = pod("a")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pods.is_ready(pod("a")) and not pods.is_ready(leaving)


def test_last_exit_is_read_from_the_last_state():
    crashed = pod("a", restarts=1)
    crashed["status"]["containerStatuses"][0]["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    assert pods.last_exit(crashed) == "Error (exit code 1)"
    assert pods.last_exit(pod("a")) == ""


def test_the_pod_table_does_not_depend_on_random_names():
    first = tables.pod_table([pod("rs-aaaaa"), pod("rs-bbbbb", ready=False)], "kubectl get pods")
    second = tables.pod_table([pod("rs-zzzzz", ready=False), pod("rs-ccccc")], "kubectl get pods")
    assert (
        [row[1:] for row in first.rows]
        == [row[1:] for row in second.rows]
        == [["0/1", "Running", "0"], ["1/1", "Running", "0"]]
    )
    assert repr(first).splitlines()[0] == "$ kubectl get pods"


def test_labels_and_nodes_become_columns():
    table = tables.pod_table([pod("a")], "", labels=["app"], node=True)
    assert table.columns == ["NAME", "READY", "STATUS", "RESTARTS", "APP", "NODE"]
    assert table.rows == [["a", "1/1", "Running", "0", "x", "node-1"]]


def event(reason: str, message: str, first: str, count: int = 1, kind: str = "Pod") -> dict:
    return {
        "metadata": {"name": "e"},
        "type": "Normal",
        "reason": reason,
        "message": message,
        "firstTimestamp": first,
        "count": count,
        "involvedObject": {"kind": kind, "name": "a"},
    }


def test_events_come_once_each_in_the_order_of_a_containers_life():
    seen = [
        event("Started", "Started container c", "2026-01-01T00:00:01Z"),
        event("Created", "Created container: c", "2026-01-01T00:00:01Z"),
        event("Scheduled", "Successfully assigned", "2026-01-01T00:00:00Z"),
        event("Started", "Started container c", "2026-01-01T00:00:09Z", count=3),
    ]
    table = tables.event_table(seen, "kubectl events", objects=True)
    assert [row[1] for row in table.rows] == ["Scheduled", "Created", "Started"]
    assert table.rows[0][2] == "pod/a"


def test_an_empty_table_says_so():
    assert repr(tables.event_table([], "kubectl events", objects=False)) == "$ kubectl events\nNo events found"
