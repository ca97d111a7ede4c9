"""Take the tracking finalizer from pods that no job will count any more, so that they can be deleted.

Upstream: the orphan queue of pkg/controller/job/job_controller.go (enqueueOrphanPod, syncOrphanPod).
"""

from __future__ import annotations

from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.controllers.job.pods import FINALIZER, finished_condition, has_finalizer
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import controller_of
from kubelab.cluster.resources import JOBS, PODS


class OrphanPodController(Controller):
    """Keys are pods. Their job is gone or finished, or the garbage collector has cut them loose."""

    name = "job-orphan-pods"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs, self.pods = context.informers.of(JOBS), context.informers.of(PODS)
        self.pods.add_handler(self._look, lambda old, new: self._look(new))
        self.jobs.add_handler(None, lambda old, new: self._job_changed(new), self._job_changed)

    def _look(self, pod: Object) -> None:
        if has_finalizer(pod):
            self.enqueue(pod)

    def _job_changed(self, job: Object) -> None:
        uid = job["metadata"]["uid"]
        for pod in self.pods.list(job["metadata"]["namespace"]):
            if has_finalizer(pod) and (controller_of(pod) or {}).get("uid") == uid:
                self.enqueue(pod)

    async def sync(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None or not has_finalizer(pod) or self._will_be_counted(pod):
            return
        metadata = {"$deleteFromPrimitiveList/finalizers": [FINALIZER], "uid": pod["metadata"]["uid"]}
        try:
            await self.client.patch(PODS, key[1], {"metadata": metadata}, key[0])
        except NotFound:
            return

    def _will_be_counted(self, pod: Object) -> bool:
        reference = controller_of(pod)
        if reference is None or reference["kind"] != JOBS.kind:
            return False
        job = self.jobs.get(pod["metadata"]["namespace"], reference["name"])
        alive = job is not None and job["metadata"]["uid"] == reference["uid"]
        return alive and finished_condition(job) is None
