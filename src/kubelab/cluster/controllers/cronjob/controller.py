"""The CronJob controller: look back at the jobs that were made, and make the one that is due.

Upstream: pkg/controller/cronjob/cronjob_controllerv2.go.
"""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from kubelab.cluster import times
from kubelab.cluster.client import AlreadyExists, APIError, NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.cronjob import jobs as made
from kubelab.cluster.controllers.cronjob.due import MANY_MISSED, most_recent, seconds_until_next
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import controller_of, is_terminating
from kubelab.cluster.resources import CRONJOBS, JOBS
from kubelab.cluster.schedule import Schedule, ScheduleError, parse, zone_of
from kubelab.cluster.times import timestamp


class CronJobController(Controller):
    name = "cronjob-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.cron_jobs, self.jobs = context.informers.of(CRONJOBS), context.informers.of(JOBS)
        self.recorder = context.recorder(self.name)
        self.cron_jobs.add_handler(self.enqueue, lambda old, new: self.enqueue(new), self.enqueue)
        self.jobs.add_handler(self._job_changed, self._job_updated, self._job_changed)

    # -- handlers

    def _job_updated(self, old: Object, new: Object) -> None:
        if controller_of(old) != controller_of(new):
            self._job_changed(old)
        self._job_changed(new)

    def _job_changed(self, job: Object) -> None:
        reference = controller_of(job)
        if reference is None or reference["kind"] != CRONJOBS.kind:
            return
        owner = self.cron_jobs.get(job["metadata"]["namespace"], reference["name"])
        if owner is not None and owner["metadata"]["uid"] == reference["uid"]:
            self.enqueue(owner)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        cron_job = self.cron_jobs.get(*key)
        if cron_job is None:
            return
        uid = cron_job["metadata"]["uid"]
        children = [job for job in self.jobs.list(key[0]) if (controller_of(job) or {}).get("uid") == uid]
        this = Round(self, cron_job, children)
        await this.clean_up()
        failure: APIError | None = None
        try:
            await this.look_back()
            wait = await this.run_due()
        except APIError as error:
            wait, failure = None, error
        await this.write_status()
        if failure is not None:
            raise failure
        if wait is not None:
            self.queue.add_after(key_of(cron_job), wait)


class Round:
    """One look at a CronJob and the jobs that it controls. What it finds out goes into `status`."""

    def __init__(self, controller: CronJobController, cron_job: Object, children: list[Object]) -> None:
        self._client, self._recorder = controller.client, controller.recorder
        self.cron_job, self.children = cron_job, children
        self.spec, self.namespace = cron_job["spec"], cron_job["metadata"]["namespace"]
        self.status: Object = {**cron_job.get("status", {})}
        self.active: list[Object] = list(self.status.get("active") or ())
        self.now: datetime = controller.clock.now()

    def _tell(self, type: str, reason: str, message: str) -> None:
        self._recorder.event(self.cron_job, type, reason, message)

    # -- what became of earlier jobs

    async def clean_up(self) -> None:
        """Delete finished jobs beyond the history limits."""
        limits = (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit"))
        for kind, field in limits:
            for job in made.oldest_finished(self.children, kind, self.spec.get(field)):
                await self._delete(job)

    async def _delete(self, job: Object) -> bool:
        metadata = job["metadata"]
        try:
            await self._client.delete(
                JOBS, metadata["name"], self.namespace, propagation_policy="Background", uid=metadata["uid"]
            )
        except APIError as error:
            if not isinstance(error, NotFound):
                self._tell("Warning", "FailedDelete", f"Deleted job: {error}")
                return False
        self._forget(metadata["uid"])
        self._tell("Normal", "SuccessfulDelete", f"Deleted job {metadata['name']}")
        return True

    def _forget(self, uid: str) -> None:
        self.active = [reference for reference in self.active if reference["uid"] != uid]

    async def look_back(self) -> None:
        """Note jobs that ended, tell of strangers, and forget those that are gone."""
        known = {reference["uid"] for reference in self.active}
        for job in self.children:
            uid, name, outcome = job["metadata"]["uid"], job["metadata"]["name"], made.outcome(job)
            if uid not in known and not outcome:
                await self._meet_stranger(job)
            elif uid in known and outcome:
                self._forget(uid)
                self._tell("Normal", "SawCompletedJob", f"Saw completed job: {name}, condition: {outcome}")
            if outcome == "Complete":
                self._note_success(job)
        there = {job["metadata"]["uid"] for job in self.children}
        for reference in [reference for reference in self.active if reference["uid"] not in there]:
            await self._look_for(reference)

    async def _meet_stranger(self, job: Object) -> None:
        """A job of ours that the status does not name: somebody else made it, or the cache is behind."""
        name = self.cron_job["metadata"]["name"]
        fresh = await self._client.get(CRONJOBS, name, self.namespace)
        listed = fresh.get("status", {}).get("active") or ()
        if all(reference["uid"] != job["metadata"]["uid"] for reference in listed):
            words = f"Saw a job that the controller did not create or forgot: {job['metadata']['name']}"
            self._tell("Warning", "UnexpectedJob", words)

    def _note_success(self, job: Object) -> None:
        completed, last = job["status"].get("completionTime"), self.status.get("lastSuccessfulTime")
        if completed and (not last or times.parse(completed) > times.parse(last)):
            self.status["lastSuccessfulTime"] = completed

    async def _look_for(self, reference: Object) -> None:
        """Ask the API, not the cache, before an active job counts as gone."""
        try:
            await self._client.get(JOBS, reference["name"], self.namespace)
        except NotFound:
            self._tell("Normal", "MissingJob", f"Active job went missing: {reference['name']}")
            self._forget(reference["uid"])

    # -- the job that is due

    async def run_due(self) -> float | None:
        """Make the job whose time has come, if there is one. Gives the seconds until the next time."""
        schedule = self._schedule()
        if is_terminating(self.cron_job) or schedule is None or self.spec.get("suspend"):
            return None
        try:
            due = most_recent(self.cron_job, self.now, schedule, within_deadline=True)
            if due.missed > MANY_MISSED:
                words = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
                self._tell("Warning", "TooManyMissedTimes", words)
            if due.time is not None and self._may_run(due.time) and not await self._run(due.time):
                return None
            return seconds_until_next({**self.cron_job, "status": self.status}, self.now, schedule)
        except ScheduleError as error:
            self._tell("Warning", "InvalidSchedule", f"invalid schedule: {self.spec['schedule']} : {error}")
            return None

    def _schedule(self) -> Schedule | None:
        """None, after an Event, where schedule or time zone cannot be read (any more)."""
        zone, text = self.spec.get("timeZone") or "", self.spec["schedule"]
        try:
            if zone:
                zone_of(zone)
        except ScheduleError as error:
            self._tell("Warning", "UnknownTimeZone", f'invalid timeZone: "{zone}": {error}')
            return None
        try:
            return parse(text, zone)
        except ScheduleError as error:
            self._tell("Warning", "UnparseableSchedule", f'unparseable schedule: "{text}" : {error}')
            return None

    def _may_run(self, due: datetime) -> bool:
        """Not too late, not served yet, and no earlier job in the way."""
        deadline = self.spec.get("startingDeadlineSeconds")
        if deadline is not None and (self.now - due).total_seconds() > deadline:
            words = f"Missed scheduled time to start a job: {format_datetime(due)}"
            self._tell("Warning", "MissSchedule", words)
            return False
        name = made.job_name(self.cron_job, due)
        served = self.status.get("lastScheduleTime") == timestamp(due)
        if served or any(reference["name"] == name for reference in self.active):
            return False
        if self.spec["concurrencyPolicy"] == "Forbid" and self.active:
            words = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._tell("Normal", "JobAlreadyActive", words)
            return False
        return True

    async def _run(self, due: datetime) -> bool:
        """Create the job and note it. False where somebody else's job has its name."""
        if self.spec["concurrencyPolicy"] == "Replace":
            await self._delete_active()
        wanted = made.job_for(self.cron_job, due)
        name = wanted["metadata"]["name"]
        try:
            job = await self._client.create(JOBS, wanted)
            self._tell("Normal", "SuccessfulCreate", f"Created job {name}")
        except AlreadyExists:  # made by us, and the status was lost; or by another
            job = await self._client.get(JOBS, name, self.namespace)
            if (controller_of(job) or {}).get("uid") != self.cron_job["metadata"]["uid"]:
                return False
        except APIError as error:
            if not error.has_cause("NamespaceTerminating"):
                self._tell("Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        if all(reference["uid"] != job["metadata"]["uid"] for reference in self.active):
            self.active.append(made.reference(job))
        self.status["lastScheduleTime"] = timestamp(due)
        return True

    async def _delete_active(self) -> None:
        """Concurrency policy Replace: who still runs makes room."""
        for reference in list(self.active):
            try:
                job = await self._client.get(JOBS, reference["name"], self.namespace)
            except APIError as error:
                self._tell("Warning", "FailedGet", f"Get job: {error}")
                raise
            if not await self._delete(job):
                words = f"could not replace job {self.namespace}/{reference['name']}"
                raise APIError({"message": words})

    async def write_status(self) -> None:
        self.status["active"] = self.active
        if not self.active:
            del self.status["active"]
        if self.status != self.cron_job.get("status", {}):
            await self._client.update(CRONJOBS, {**self.cron_job, "status": self.status}, "status")
