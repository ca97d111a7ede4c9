"""The Job controller's arithmetic: indexes, waiting times, what a job's pods add up to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelab.cluster.controllers.job import conditions, indexes
from kubelab.cluster.controllers.job.backoff import BackoffRecord, finished_at
from kubelab.cluster.controllers.job.pods import FINALIZER, generate_name, template_of
from kubelab.cluster.controllers.job.tally import Tally
from kubelab.cluster.times import timestamp
from unit.cluster.builders import make_pod

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}
    return {
        "metadata": {"name": "work", "namespace": "default"},
        "spec": {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": template, **spec},
        "status": {"startTime": "2026-01-01T11:59:00Z"},
    }


def pod(name: str, phase: str = "Running", *, counted: bool = False, index: int | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {} if counted else {"finalizers": [FINALIZER]}
    if index is not None:
        metadata["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
    return make_pod(name, phase=phase, metadata=metadata)


def ended(name: str, at: datetime) -> dict[str, Any]:
    made = pod(name, "Failed")
    made["status"]["containerStatuses"] = [{"state": {"terminated": {"finishedAt": timestamp(at)}}}]
    return made


def tally(made: dict[str, Any], *pods: dict[str, Any], released: frozenset[str] = frozenset()) -> Tally:
    return Tally(made, list(pods), released, BackoffRecord(), NOW)


# -- indexes


@pytest.mark.parametrize(
    ("found", "text"), [([], ""), ([3], "3"), ([1, 2], "1,2"), ([0, 1, 2, 5, 7, 8], "0-2,5,7,8"), ([4, 2, 3], "2-4")]
)
def test_indexes_as_the_status_writes_them(found: list[int], text: str):
    assert indexes.to_string(found) == text
    assert indexes.parse(text, 100) == set(found)


def test_indexes_beyond_the_completions_and_nonsense_are_left_out():
    assert indexes.parse("0,2-9,x,4-y", 5) == {0, 2, 3, 4}


@given(st.sets(st.integers(0, 60)))
def test_indexes_survive_the_status(found: set[int]):
    assert indexes.parse(indexes.to_string(found), 61) == found


@given(st.sets(st.integers(0, 20)), st.integers(0, 20), st.integers(0, 20))
def test_pending_indexes_are_the_lowest_that_are_free(taken: set[int], count: int, completions: int):
    free = sorted(set(range(completions)) - taken)
    assert indexes.first_pending(count, completions, taken) == free[:count]


# -- waiting after failures


@pytest.mark.parametrize(("failures", "seconds"), [(0, 0), (1, 10), (2, 20), (3, 40), (6, 320), (7, 600), (50, 600)])
def test_the_wait_doubles_up_to_ten_minutes(failures: int, seconds: int):
    assert BackoffRecord(failures, NOW).remaining(NOW) == seconds


def test_the_wait_counts_from_the_last_failure():
    record = BackoffRecord().after([], [ended("a", NOW - timedelta(seconds=4)), ended("b", NOW - timedelta(seconds=9))])
    assert record.failures == 2
    assert record.remaining(NOW) == 16


def test_a_success_forgives_what_failed_before_it():
    failures = [ended("a", NOW - timedelta(seconds=9)), ended("c", NOW - timedelta(seconds=1))]
    record = BackoffRecord(5, NOW).after([ended("b", NOW - timedelta(seconds=5))], failures)
    assert (record.failures, record.last) == (1, NOW - timedelta(seconds=1))


def test_a_pod_that_was_deleted_ended_when_that_was_asked():
    made = pod("a")
    made["status"]["conditions"] = []
    made["metadata"] |= {"deletionTimestamp": "2026-01-01T12:00:30Z", "deletionGracePeriodSeconds": 30}
    assert finished_at(made) == NOW


# -- counting


def test_each_pod_is_counted_once():
    made = job(completions=9, parallelism=9)
    made["status"] |= {
        "succeeded": 1,
        "failed": 1,
        "uncountedTerminatedPods": {"succeeded": ["uid-noted"], "failed": ["uid-gone"]},
    }
    found = tally(
        made,
        pod("new", "Succeeded"),
        pod("noted", "Succeeded"),
        pod("old", "Succeeded", counted=True),
        pod("released", "Succeeded"),
        pod("bad", "Failed"),
        pod("busy"),
        released=frozenset({"uid-released"}),
    )
    assert (found.succeeded, found.failed, found.active) == (3, 3, 1)


def test_only_indexes_of_the_job_count():
    made = job(completions=2, parallelism=2, completionMode="Indexed")
    found = tally(made, pod("a", "Succeeded", index=1), pod("b", "Succeeded", index=7), pod("c", "Succeeded"))
    assert (found.succeeded, found.done) == (1, {1})


@pytest.mark.parametrize(
    ("spec", "pods", "wanted"),
    [
        ({"completions": 5, "parallelism": 2}, ["Running"], 2),
        ({"completions": 2, "parallelism": 5}, ["Succeeded"], 1),
        ({"completions": 1}, ["Succeeded"], 0),
        ({"completions": None, "parallelism": 3}, [], 3),
        ({"completions": None, "parallelism": 3}, ["Succeeded", "Running"], 1),
    ],
)
def test_how_many_pods_should_run(spec: dict[str, Any], pods: list[str], wanted: int):
    made = tally(job(**spec), *(pod(str(i), phase) for i, phase in enumerate(pods)))
    assert made.wanted_active() == wanted


@pytest.mark.parametrize(("limit", "failed", "ends"), [(0, 0, False), (0, 1, True), (2, 2, False), (2, 3, True)])
def test_the_limit_of_failures(limit: int, failed: int, ends: bool):
    ending = tally(job(backoffLimit=limit), *(pod(str(i), "Failed") for i in range(failed))).ending()
    assert (ending is not None and ending["reason"] == "BackoffLimitExceeded") is ends


def test_the_deadline_does_not_count_while_the_job_is_suspended():
    assert tally(job(activeDeadlineSeconds=60)).ending()["reason"] == "DeadlineExceeded"
    assert tally(job(activeDeadlineSeconds=61)).time_left() == 1
    assert tally(job(activeDeadlineSeconds=60, suspend=True)).ending() is None


def test_what_was_decided_stays():
    made = job()
    made["status"]["conditions"] = [conditions.backoff_limit_exceeded(NOW)]
    assert tally(made).ending()["type"] == "Failed"


# -- pods


def test_a_variable_of_ones_own_is_kept():
    made = job(completionMode="Indexed")
    own = {"name": "JOB_COMPLETION_INDEX", "value": "mine"}
    made["spec"]["template"]["spec"]["containers"] = [{"name": "c", "env": [own]}]
    assert template_of(made, 3)["spec"]["containers"][0]["env"] == [own]


def test_long_names_keep_their_index():
    made = job()
    made["metadata"]["name"] = "n" * 63
    assert generate_name(made, 12) == "n" * 54 + "-12-"
