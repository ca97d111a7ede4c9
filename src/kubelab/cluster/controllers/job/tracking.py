"""Count each finished pod once, whatever fails in between.

Upstream: trackJobStatusAndRemoveFinalizers in pkg/controller/job/job_controller.go. A finished pod is first noted by
its UID (uncountedTerminatedPods), then loses its finalizer, and then moves to the counts. A pod cannot be gone before
it was noted, and whoever takes over after any of these steps sees which it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kubelab.cluster.client import APIClient, APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Object
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.controllers.job import conditions, index_failures, indexes
from kubelab.cluster.controllers.job.failure_policy import judge
from kubelab.cluster.controllers.job.managing import remove_finalizer
from kubelab.cluster.controllers.job.pods import (
    completion_index,
    finished_condition,
    has_valid_index,
    is_failed,
    is_indexed,
)
from kubelab.cluster.controllers.job.tally import Tally
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.pods import is_terminating, phase
from kubelab.cluster.resources import JOBS

MOST_UNCOUNTED = 500  # UIDs in the status, which keeps it below 20 KB


class Tracker:
    """Writes a job's status. `released` expects the finalizers that were taken to disappear from the cache."""

    def __init__(self, client: APIClient, recorder: EventRecorder, released: Expectations) -> None:
        self._client, self._recorder, self._released = client, recorder, released

    async def track(self, tally: Tally, ending: Object | None, counted: Callable[[], None]) -> None:
        """Count, and end the job where `ending` says so. Calls `counted` once new pods are safely noted."""
        before = tally.job.get("status") or {}
        holding = {pod["metadata"]["uid"] for pod in tally.pods if tally.to_count(pod)}
        _move_to_counts(tally, holding)
        release, full = _note_finished(tally, ending)
        last = _first_step(tally, ending)
        _fill(tally)
        if tally.status != before:
            await self._write(tally)
            counted()
        noted = dict(tally.status)
        await self._release(tally, release, holding)
        _move_to_counts(tally, holding)
        _fill(tally)
        finished = not full and last is not None and _finish(tally, last)
        if tally.status != noted:
            await self._write(tally)
        if finished:
            self._tell(tally, last)

    async def _write(self, tally: Tally) -> None:
        tally.job = await self._client.update(JOBS, {**tally.job, "status": tally.status}, "status")

    async def _release(self, tally: Tally, pods: list[Object], holding: set[str]) -> None:
        """Take the finalizer from the pods; where that fails for some, the counts of the others are written."""
        if not pods:
            return
        unseen = self._released.deletions(tally.key)
        self._released.expect_deletions(tally.key, unseen | {pod["metadata"]["uid"] for pod in pods})

        async def release(pod: Object) -> None:
            uid = pod["metadata"]["uid"]
            try:
                await remove_finalizer(self._client, pod)
            except (NotFound, Conflict):  # gone already: nobody holds it
                self._released.deletion_observed(tally.key, uid)
            except APIError:
                self._released.deletion_observed(tally.key, uid)
                raise
            holding.discard(uid)

        results = await asyncio.gather(*(release(pod) for pod in pods), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                _move_to_counts(tally, holding)
                _fill(tally)
                await self._write(tally)
                raise result

    def _tell(self, tally: Tally, last: Object) -> None:
        if last["type"] == conditions.FAILED:
            self._recorder.event(tally.job, "Warning", last["reason"], last["message"])
            return
        if tally.completions is not None and tally.status.get("succeeded", 0) > tally.completions:
            message = "Too many succeeded pods running after completion count reached"
            self._recorder.event(tally.job, "Warning", "TooManySucceededPods", message)
        self._recorder.event(tally.job, "Normal", "Completed", "Job completed")


def _note_finished(tally: Tally, ending: Object | None) -> tuple[list[Object], bool]:
    """Note the UIDs of pods that have finished. Gives those whose finalizer may go, and whether there are more."""
    all_fail = ending is not None and ending["type"] in (conditions.FAILURE_TARGET, conditions.FAILED)
    over = ending is not None or is_terminating(tally.job)
    uncounted, release = tally.uncounted, []
    for pod in sorted(tally.pods, key=lambda pod: completion_index(pod) or 0):
        uid, failed, succeeded = pod["metadata"]["uid"], is_failed(pod, tally.job), phase(pod) == "Succeeded"
        if not tally.to_count(pod) or not (over or succeeded or failed):
            continue
        if over or succeeded or not _is_kept(tally, pod):
            release.append(pod)
        if succeeded and uid not in uncounted["failed"]:
            if not is_indexed(tally.job) and uid not in uncounted["succeeded"]:
                uncounted["succeeded"].append(uid)
        elif (failed or all_fail) and uid not in uncounted["failed"] and _counts(tally, pod):
            uncounted["failed"].append(uid)
        if sum(map(len, uncounted.values())) >= MOST_UNCOUNTED:
            return release, True
    return release, False


def _counts(tally: Tally, pod: Object) -> bool:
    return has_valid_index(pod, tally.job) and judge(tally.job, pod).counts


def _is_kept(tally: Tally, pod: Object) -> bool:
    kept = tally.kept.get(completion_index(pod) or 0)
    return kept is not None and kept["metadata"]["uid"] == pod["metadata"]["uid"]


def _move_to_counts(tally: Tally, holding: set[str]) -> None:
    """Pods that hold the finalizer no longer are counted for good."""
    for kind, uids in tally.uncounted.items():
        left = [uid for uid in uids if uid in holding]
        if len(left) < len(uids):
            tally.status[kind] = tally.status.get(kind, 0) + len(uids) - len(left)
            tally.uncounted[kind] = left


def _fill(tally: Tally) -> None:
    """The rest of the status: what is there now. Counts of zero are left out as the API's JSON does."""
    status = tally.status
    status["uncountedTerminatedPods"] = {kind: list(uids) for kind, uids in tally.uncounted.items() if uids}
    status["ready"], status["terminating"] = tally.ready, tally.terminating
    status["active"] = tally.active
    if is_indexed(tally.job):
        status["succeeded"], status["completedIndexes"] = len(tally.done), indexes.to_string(tally.done)
    if index_failures.applies(tally.job):
        status["failedIndexes"] = indexes.to_string(tally.failed_indexes)
    for name in ("active", "succeeded", "failed", "completedIndexes"):
        if not status.get(name):
            status.pop(name, None)


def _first_step(tally: Tally, ending: Object | None) -> Object | None:
    """Note how the job will end, before its pods lose their finalizers. Gives the condition that says it has."""
    if ending is None or ending["type"] not in conditions.LAST_STEP:
        return ending
    if conditions.find(tally.status, ending["type"]) is None:
        conditions.ensure(tally.status, ending)
    return conditions.last_step(ending, tally.now)


def _finish(tally: Tally, last: Object) -> bool:
    """Failed or Complete, once every pod has been counted and is gone."""
    if any(tally.uncounted.values()) or tally.terminating or finished_condition(tally.job) is not None:
        return False
    conditions.ensure(tally.status, last)
    if last["type"] == conditions.COMPLETE:
        tally.status["completionTime"] = last["lastTransitionTime"]
    return True
