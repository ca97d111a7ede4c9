"""Failures counted for each index of its own (`backoffLimitPerIndex`): the pods themselves carry the counts.

Upstream: pkg/controller/job/indexed_job_utils.go and getRemainingTimePerIndex in backoff_utils.go. A pod notes how
often its index has failed before it; so the last failed pod of an index may go only when its successor is there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kubelab.cluster.controllers.job.backoff import BackoffRecord, finished_at
from kubelab.cluster.controllers.job.failure_policy import FAIL_INDEX, judge
from kubelab.cluster.controllers.job.pods import completion_index, has_valid_index, is_failed

Object = dict[str, Any]

FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


def applies(job: Object) -> bool:
    return job["spec"].get("backoffLimitPerIndex") is not None


def failed_now(job: Object, pods: list[Object]) -> set[int]:
    """Indexes that one of the pods shows to have failed for good."""
    return {completion_index(pod) or 0 for pod in pods if has_valid_index(pod, job) and _is_last_straw(job, pod)}


def _is_last_straw(job: Object, pod: Object) -> bool:
    if not is_failed(pod, job):
        return False
    verdict = judge(job, pod)
    if verdict.action == FAIL_INDEX:
        return True
    return verdict.counts and _count(pod, FAILURES) >= job["spec"]["backoffLimitPerIndex"]


def last_failures(job: Object, pods: list[Object], settled: set[int]) -> dict[int, Object]:
    """The last failed pod of each index that is not `settled` (done, failed, or worked on): it has to stay."""
    last: dict[int, Object] = {}
    for pod in pods:
        index = completion_index(pod)
        if index is None or index in settled or not is_failed(pod, job):
            continue
        if index not in last or _age(last[index]) <= _age(pod):
            last[index] = pod
    return last


def _age(pod: Object) -> tuple[int, datetime]:
    return _attempts(pod), finished_at(pod)


def annotations(job: Object, replaced: Object | None) -> dict[str, str]:
    """For the pod that comes after `replaced`, or for the first of its index."""
    if replaced is None:
        return {FAILURES: "0"}
    failures, ignored = _count(replaced, FAILURES), _count(replaced, IGNORED)
    if judge(job, replaced).counts:
        failures += 1
    else:
        ignored += 1
    return {FAILURES: str(failures), **({IGNORED: str(ignored)} if ignored else {})}


def wait(replaced: Object | None, now: datetime) -> float:
    """Seconds before the index may be tried again."""
    return 0.0 if replaced is None else BackoffRecord(_attempts(replaced) + 1, finished_at(replaced)).remaining(now)


def _attempts(pod: Object) -> int:
    return _count(pod, FAILURES) + _count(pod, IGNORED)


def _count(pod: Object, annotation: str) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(annotation, "")
    return int(text) if text.isdigit() else 0
