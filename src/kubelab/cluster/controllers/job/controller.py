"""The Job controller: handlers, and one round of work on a job.

Upstream: syncJob in pkg/controller/job/job_controller.go.
"""

from __future__ import annotations

from kubelab.cluster.client import APIError
from kubelab.cluster.controllers.controller import Context, Object
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.controllers.job import conditions
from kubelab.cluster.controllers.job.backoff import BackoffRecord
from kubelab.cluster.controllers.job.managing import PodManager
from kubelab.cluster.controllers.job.pods import FINALIZER, finished_condition, has_finalizer, is_suspended
from kubelab.cluster.controllers.job.tally import Tally
from kubelab.cluster.controllers.job.tracking import Tracker
from kubelab.cluster.controllers.ownercontroller import PodOwnerController, labels_of
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import is_terminating
from kubelab.cluster.resources import JOBS, PODS
from kubelab.cluster.selectors import label_selector_matches
from kubelab.cluster.times import timestamp
from kubelab.cluster.workqueue import WorkQueue

BATCH_PERIOD = 1.0  # seconds in which changes of pods are gathered before the job is looked at
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # seconds after an error of the API
MANAGED_BY = "kubernetes.io/job-controller"


class JobController(PodOwnerController):
    name = "job-controller"
    resource = JOBS

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.queue = WorkQueue(context.clock, base_delay=FIRST_RETRY, max_delay=LAST_RETRY)
        self.released = Expectations(context.clock)
        self.recorder = context.recorder(self.name)
        self.manager = PodManager(context.client, PodControl(context.client, self.recorder), self.expectations)
        self.tracker = Tracker(context.client, self.recorder, self.released)
        self._backoff: dict[Key, BackoffRecord] = {}

    # -- handlers

    @staticmethod
    def selects(owner: Object, labels: dict[str, str]) -> bool:
        return label_selector_matches(owner["spec"].get("selector"), labels)

    def wake(self, owner: Object) -> None:
        self.queue.add_after(key_of(owner), BATCH_PERIOD)

    def _owner_updated(self, old: Object, new: Object) -> None:
        """A new spec is worked on at once; a new status, which is mostly our own, with the next changes."""
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._owner_deleted(old)
        if old["metadata"].get("generation") == new["metadata"].get("generation"):
            self.wake(new)
        else:
            self.enqueue(new)

    def forget(self, key: Key) -> None:
        super().forget(key)
        self.released.forget(key)
        self._backoff.pop(key, None)

    def _pod_updated(self, old: Object, new: Object) -> None:
        for job in (self.owner_of(old), self.owner_of(new)):
            if job is not None and not has_finalizer(new):
                self.released.deletion_observed(key_of(job), new["metadata"]["uid"])
        super()._pod_updated(old, new)

    def _pod_deleted(self, pod: Object) -> None:
        job = self.owner_of(pod)
        if job is not None:
            self.released.deletion_observed(key_of(job), pod["metadata"]["uid"])
        super()._pod_deleted(pod)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        job = self.owners.get(*key)
        if job is None or finished_condition(job) is not None:
            self.forget(key)
            return
        if job["spec"].get("managedBy") not in (None, MANAGED_BY):
            return
        satisfied = self.expectations.satisfied(key)
        claimer = Claimer(self.client, JOBS, job, PODS, lambda pod: self.selects(job, labels_of(pod)), FINALIZER)
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
