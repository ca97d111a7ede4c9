"""The Job controller: handlers, and one round of work on a job.

Upstream: syncJob in pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from kubelab.cluster.client import APIError
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.controllers.job import conditions
from kubelab.cluster.controllers.job.backoff import BackoffRecord
from kubelab.cluster.controllers.job.managing import PodManager
from kubelab.cluster.controllers.job.pods import FINALIZER, finished_condition, has_finalizer, is_suspended
from kubelab.cluster.controllers.job.tally import Tally
from kubelab.cluster.controllers.job.tracking import Tracker
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import controller_of, is_terminating
from kubelab.cluster.resources import JOBS, PODS
from kubelab.cluster.selectors import label_selector_matches
from kubelab.cluster.times import timestamp
from kubelab.cluster.workqueue import WorkQueue

BATCH_PERIOD = 1.0  # seconds in which changes of pods are gathered before the job is looked at
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # seconds after an error of the API
MANAGED_BY = "kubernetes.io/job-controller"


class JobController(Controller):
    name = "job-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.queue = WorkQueue(context.clock, base_delay=FIRST_RETRY, max_delay=LAST_RETRY)
        self.jobs, self.pods = context.informers.of(JOBS), context.informers.of(PODS)
        self.expectations, self.released = Expectations(context.clock), Expectations(context.clock)
        self.recorder = context.recorder(self.name)
        self.manager = PodManager(context.client, PodControl(context.client, self.recorder), self.expectations)
        self.tracker = Tracker(context.client, self.recorder, self.released)
        self._backoff: dict[Key, BackoffRecord] = {}
        self.jobs.add_handler(self.enqueue, self._job_updated, self._job_deleted)
        self.pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    # -- handlers

    def _soon(self, job: Object) -> None:
        self.queue.add_after(key_of(job), BATCH_PERIOD)

    def _job_updated(self, old: Object, new: Object) -> None:
        """A new spec is worked on at once; a new status, which is mostly our own, with the next changes."""
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._job_deleted(old)
        if old["metadata"].get("generation") == new["metadata"].get("generation"):
            self._soon(new)
        else:
            self.enqueue(new)

    def _job_deleted(self, job: Object) -> None:
        self._forget(key_of(job))
        self.enqueue(job)

    def _forget(self, key: Key) -> None:
        self.expectations.forget(key)
        self.released.forget(key)
        self._backoff.pop(key, None)

    def _pod_added(self, pod: Object) -> None:
        if is_terminating(pod):
            self._pod_deleted(pod, final=False)
            return
        job = self._job_of(pod)
        if job is not None:
            self.expectations.creation_observed(key_of(job))
            self._soon(job)
        elif controller_of(pod) is None:
            self._wake_selecting(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if is_terminating(new):
            self._pod_deleted(new, final=False)
            return
        old_job, job = self._job_of(old), self._job_of(new)
        for affected in (old_job, job):
            if affected is not None and not has_finalizer(new):
                self.released.deletion_observed(key_of(affected), new["metadata"]["uid"])
        if old_job is not None and old_job is not job:
            self._soon(old_job)
        if job is not None:
            self._soon(job)
        elif controller_of(new) is None and (_labels(old) != _labels(new) or controller_of(old) is not None):
            self._wake_selecting(new)

    def _pod_deleted(self, pod: Object, *, final: bool = True) -> None:
        job = self._job_of(pod)
        if job is None:
            return
        uid = pod["metadata"]["uid"]
        self.expectations.deletion_observed(key_of(job), uid)
        if final or not has_finalizer(pod):
            self.released.deletion_observed(key_of(job), uid)
        self._soon(job)

    def _job_of(self, pod: Object) -> Object | None:
        reference = controller_of(pod)
        if reference is None or reference["kind"] != JOBS.kind:
            return None
        job = self.jobs.get(pod["metadata"]["namespace"], reference["name"])
        return job if job is not None and job["metadata"]["uid"] == reference["uid"] else None

    def _wake_selecting(self, orphan: Object) -> None:
        for job in self.jobs.list(orphan["metadata"]["namespace"]):
            if _selects(job, orphan):
                self._soon(job)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        if job is None or finished_condition(job) is not None:
            self._forget(key)
            return
        if job["spec"].get("managedBy") not in (None, MANAGED_BY):
            return
        satisfied = self.expectations.satisfied(key)
        claimer = Claimer(self.client, JOBS, job, PODS, lambda pod: _selects(job, pod), FINALIZER)
        pods = await claimer.claim(self.pods.list(key[0]))
        record, now = self._backoff.get(key, BackoffRecord()), self.clock.now()
        tally = Tally(job, pods, self.released.deletions(key), record, now)
        ending, failure = tally.ending(), None
        try:
            ending = await (self._end(tally, ending, satisfied) if ending else self._go_on(tally, satisfied))
        except APIError as error:
            ending, failure = None, error

        def counted() -> None:
            self._backoff[key] = tally.backoff

        await self.tracker.track(tally, ending, counted)
        if failure is not None:
            raise failure

    async def _end(self, tally: Tally, ending: Object, satisfied: bool) -> Object | None:
        """Delete what still runs. It is not over where pods may be about to appear."""
        await self.manager.delete_active(tally)
        return ending if satisfied else None

    async def _go_on(self, tally: Tally, satisfied: bool) -> Object | None:
        """Manage the pods. Gives the condition that says that the job is complete, where it is."""
        left = tally.time_left()
        if left is not None:
            self.queue.add_after(tally.key, left)
        manage = satisfied and not is_terminating(tally.job)
        if manage:
            wait = await self.manager.manage(tally)
            if wait:
                self.queue.add_after(tally.key, wait)
        if tally.is_complete():
            return conditions.completions_reached(tally.now)
        if manage:
            self._note_suspension(tally)
        return None

    def _note_suspension(self, tally: Tally) -> None:
        """A job that is resumed starts its clock again."""
        suspended = is_suspended(tally.job)
        words = ("True", "JobSuspended", "Job suspended") if suspended else ("False", "JobResumed", "Job resumed")
        if conditions.ensure(tally.status, conditions.make("Suspended", *words, tally.now)):
            self.recorder.event(tally.job, "Normal", "Suspended" if suspended else "Resumed", words[2])
            if not suspended:
                tally.status["startTime"] = timestamp(tally.now)


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _selects(job: Object, pod: Object) -> bool:
    return label_selector_matches(job["spec"].get("selector"), _labels(pod))
