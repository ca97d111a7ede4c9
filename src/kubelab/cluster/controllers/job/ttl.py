"""Delete jobs that have finished, `ttlSecondsAfterFinished` later.

Upstream: pkg/controller/ttlafterfinished/ttlafterfinished_controller.go.
"""

from __future__ import annotations

from kubelab.cluster import times
from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.job.pods import finished_condition
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_terminating
from kubelab.cluster.resources import JOBS


class TTLAfterFinishedController(Controller):
    name = "ttl-after-finished-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs = context.informers.of(JOBS)
        self.jobs.add_handler(self._look, lambda old, new: self._look(new))

    def _look(self, job: Object) -> None:
        if self._left(job) is not None:
            self.enqueue(job)

    def _left(self, job: Object) -> float | None:
        """Seconds until the job has to go; None where it has not finished or may stay for ever."""
        ttl, finished = job["spec"].get("ttlSecondsAfterFinished"), finished_condition(job)
        if ttl is None or finished is None or is_terminating(job):
            return None
        passed = self.clock.now() - times.parse(finished["lastTransitionTime"])
        return ttl - passed.total_seconds()

    async def sync(self, key: Key) -> None:
        job = self.jobs.get(*key)
        left = self._left(job) if job is not None else None
        if left is None:
            return
        if left > 0:
            self.queue.add_after(key, left)
            return
        try:
            fresh = await self.client.get(JOBS, key[1], key[0])  # the ttl may have changed a moment ago
            left = self._left(fresh)
            if left is not None and left <= 0:
                uid = fresh["metadata"]["uid"]
                await self.client.delete(JOBS, key[1], key[0], propagation_policy="Foreground", uid=uid)
        except NotFound:
            return
