"""A job as one round sees it: its pods, what they add up to, and how the job ends, if it does.

Upstream: syncJobCtx and the first half of syncJob in pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kubelab.cluster import times
from kubelab.cluster.controllers.job import conditions, index_failures, indexes, success_policy
from kubelab.cluster.controllers.job.backoff import BackoffRecord
from kubelab.cluster.controllers.job.failure_policy import FAIL_JOB, judge
from kubelab.cluster.controllers.job.pods import (
    completion_index,
    has_finalizer,
    has_valid_index,
    is_failed,
    is_indexed,
    is_suspended,
)
from kubelab.cluster.pods import is_active, is_ready, is_terminal, is_terminating, phase
from kubelab.cluster.times import timestamp

Object = dict[str, Any]


class Tally:
    """`job` is this round's own; `status` is what will be written. `released` are the UIDs of pods that have been
    counted, but that the cache still shows with the finalizer.
    """

    def __init__(
        self, job: Object, pods: list[Object], released: frozenset[str], backoff: BackoffRecord, now: datetime
    ) -> None:
        self.job, self.pods, self.released, self.now = job, pods, released, now
        self.status: Object = dict(job.get("status") or {})
        uncounted = self.status.get("uncountedTerminatedPods") or {}
        self.uncounted = {kind: list(uncounted.get(kind) or ()) for kind in ("succeeded", "failed")}
        self.active_pods = [pod for pod in pods if is_active(pod)]
        self.active = len(self.active_pods)
        self.ready = sum(is_ready(pod) for pod in self.active_pods)
        self.terminating = sum(is_terminating(pod) and not is_terminal(pod) for pod in pods)
        new_succeeded = self._new("succeeded", lambda pod: phase(pod) == "Succeeded")
        new_failed = self._new("failed", lambda pod: is_failed(pod, job))
        self.backoff = backoff.after(new_succeeded, new_failed)
        self.failed = self._total("failed", [pod for pod in new_failed if judge(job, pod).counts])
        self.done = self._done_indexes() if is_indexed(job) else set()
        self.failed_indexes = self._failed_indexes() if index_failures.applies(job) else set()
        self.kept = self._kept() if index_failures.applies(job) else {}
        self.succeeded = len(self.done) if is_indexed(job) else self._total("succeeded", new_succeeded)
        if not self.status.get("startTime") and not is_suspended(job):
            self.status["startTime"] = timestamp(now)

    @property
    def key(self) -> tuple[str, str]:
        return self.job["metadata"]["namespace"], self.job["metadata"]["name"]

    @property
    def completions(self) -> int | None:
        return self.job["spec"].get("completions")

    def to_count(self, pod: Object) -> bool:
        """Whether the pod holds the finalizer, and nobody has taken it yet."""
        return has_finalizer(pod) and pod["metadata"]["uid"] not in self.released

    def _new(self, kind: str, ended: Callable[[Object], bool]) -> list[Object]:
        """The pods that ended in this way and are not in the status in any form."""
        return [
            pod
            for pod in self.pods
            if self.to_count(pod)
            and pod["metadata"]["uid"] not in self.uncounted[kind]
            and has_valid_index(pod, self.job)
            and ended(pod)
        ]

    def _total(self, kind: str, new: list[Object]) -> int:
        return self.status.get(kind, 0) + len(self.uncounted[kind]) + len(new)

    def _done_indexes(self) -> set[int]:
        before = indexes.parse(self.status.get("completedIndexes") or "", self.job["spec"]["completions"])
        counted = (pod for pod in self.pods if self.to_count(pod) and phase(pod) == "Succeeded")
        return before | {completion_index(pod) or 0 for pod in counted if has_valid_index(pod, self.job)}

    def _failed_indexes(self) -> set[int]:
        before = indexes.parse(self.status.get("failedIndexes") or "", self.job["spec"]["completions"])
        return before | index_failures.failed_now(self.job, self.pods)

    def _kept(self) -> dict[int, Object]:
        """By index, failed pods that keep their finalizer until they are replaced."""
        working = {index for pod in self.active_pods if (index := completion_index(pod)) is not None}
        return index_failures.last_failures(self.job, self.pods, self.done | self.failed_indexes | working)

    # -- how it ends

    def ending(self) -> Object | None:
        """The condition that says how the job ends although not all is done: decided earlier, or now."""
        decided = conditions.find(self.status, conditions.SUCCESS_CRITERIA_MET)
        if decided is not None:
            return decided
        failing = conditions.find(self.status, conditions.FAILURE_TARGET)
        if failing is not None:
            return conditions.last_step(failing, self.now)
        fatal = next(filter(None, map(self._fatal, self.pods)), "")
        if fatal:
            return conditions.failed_by_policy(fatal, self.now)
        if self.failed > self.job["spec"]["backoffLimit"] or self._restarted_too_often():
            return conditions.backoff_limit_exceeded(self.now)
        left = self.time_left()
        if left is not None and left <= 0:
            return conditions.deadline_exceeded(self.now)
        return self._ending_by_indexes()

    def _fatal(self, pod: Object) -> str:
        """Why this pod makes the whole job fail; "" where it does not."""
        verdict = judge(self.job, pod) if is_failed(pod, self.job) else None
        return verdict.message if verdict is not None and verdict.action == FAIL_JOB else ""

    def _ending_by_indexes(self) -> Object | None:
        """Too many indexes have failed, or some have and no other is left to do; or enough are done."""
        most, failed = self.job["spec"].get("maxFailedIndexes"), len(self.failed_indexes)
        if most is not None and failed > most:
            return conditions.too_many_failed_indexes(self.now)
        if failed and failed + len(self.done) >= (self.completions or 0):
            return conditions.failed_indexes(self.now)
        met = success_policy.matched_rule(self.job, self.done) if is_indexed(self.job) else ""
        return conditions.succeeded_by_policy(met, self.now) if met else None

    def _restarted_too_often(self) -> bool:
        """With the restart policy OnFailure a pod does not fail: its containers' restarts count instead."""
        if self.job["spec"]["template"]["spec"].get("restartPolicy") != "OnFailure":
            return False
        statuses = [
            status
            for pod in self.pods
            if phase(pod) in ("Running", "Pending")
            for field in ("initContainerStatuses", "containerStatuses")
            for status in pod.get("status", {}).get(field) or ()
        ]
        restarts, limit = sum(status.get("restartCount", 0) for status in statuses), self.job["spec"]["backoffLimit"]
        return restarts >= max(limit, 1)

    def time_left(self) -> float | None:
        """Seconds of activeDeadlineSeconds; None where there is no deadline, or time stands still."""
        deadline, start = self.job["spec"].get("activeDeadlineSeconds"), self.status.get("startTime")
        if deadline is None or not start or is_suspended(self.job):
            return None
        return deadline - (self.now - times.parse(start)).total_seconds()

    def is_complete(self) -> bool:
        """Without `completions` the first success decides, and the pods that still run may end."""
        enough = self.succeeded > 0 if self.completions is None else self.succeeded >= self.completions
        return enough and self.active == 0

    def wanted_active(self) -> int:
        """How many pods should run now: never more than there is still to do."""
        parallelism = self.job["spec"]["parallelism"]
        if self.completions is None:
            return self.active if self.succeeded else parallelism
        return max(0, min(self.completions - self.succeeded, parallelism))
