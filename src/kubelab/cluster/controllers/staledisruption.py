"""A pod that was to be disrupted and is still there two minutes later was not: its condition DisruptionTarget is reset.

Upstream: the stale pod disruption queue of pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

from datetime import timedelta

from kubelab.cluster import times
from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import condition, is_terminal, is_terminating
from kubelab.cluster.resources import PODS

TIMEOUT = timedelta(minutes=2)
BY_KUBELET = "TerminationByKubelet"  # may stand for as long as the pod takes to end


class StaleDisruptionController(Controller):
    name = "stale-pod-disruption"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pods = context.informers.of(PODS)
        self.pods.add_handler(self._pod_changed, lambda old, new: self._pod_changed(new))

    def _pod_changed(self, pod: Object) -> None:
        if _is_target(pod):
            self.queue.add_after((pod["metadata"]["namespace"], pod["metadata"]["name"]), self._due_in(pod))

    def _due_in(self, pod: Object) -> float:
        """Seconds until the pod should have gone."""
        since = times.parse((condition(pod, "DisruptionTarget") or {})["lastTransitionTime"])
        return max((since + TIMEOUT - self.clock.now()).total_seconds(), 0.0)

    async def sync(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None or not _is_target(pod):
            return
        left = self._due_in(pod)
        if left > 0:
            self.queue.add_after(key, left)
            return
        reset = {"type": "DisruptionTarget", "status": "False", "reason": None, "message": None}
        reset |= {"lastTransitionTime": times.timestamp(self.clock.now())}
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": [reset]}}
        try:
            await self.client.patch(PODS, key[1], patch, key[0], subresource="status")
        except NotFound:
            return


def _is_target(pod: Object) -> bool:
    """Whether the pod waits to be deleted by whoever has said that it will be."""
    target = condition(pod, "DisruptionTarget") or {}
    if is_terminating(pod) or is_terminal(pod) or not target.get("lastTransitionTime"):
        return False
    return target.get("status") == "True" and target.get("reason") != BY_KUBELET
