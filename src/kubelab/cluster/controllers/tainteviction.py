"""Evict pods from nodes with NoExecute taints, each after the time for which it tolerates them.

Upstream: pkg/controller/tainteviction/taint_eviction.go.
"""

from __future__ import annotations

from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import is_terminating, node_name
from kubelab.cluster.resources import NODES, PODS
from kubelab.cluster.taints import tolerates
from kubelab.cluster.times import timestamp

MESSAGE = "Taint manager: deleting due to NoExecute taint"


def toleration_seconds(taints: list[Object], tolerations: list[Object]) -> float | None:
    """How long a pod may stay: 0 where a taint is not tolerated, None for ever."""
    used = []
    for taint in taints:
        matching = [toleration for toleration in tolerations if tolerates(toleration, taint)]
        if not matching:
            return 0.0
        used.extend(matching)
    limits = [max(0, t["tolerationSeconds"]) for t in used if t.get("tolerationSeconds") is not None]
    return float(min(limits)) if limits else None


class TaintEvictionController(Controller):
    """Keys are pods. A pod's time runs from when its node's taints were first seen to drive it away."""

    name = "taint-eviction-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes, self.pods = context.informers.of(NODES), context.informers.of(PODS)
        self.recorder = context.recorder(self.name)
        self._since: dict[str, float] = {}  # UID of a pod that has to go: since when (monotonic)
        self.nodes.add_handler(self._node_changed, self._node_updated, self._node_changed)
        self.pods.add_handler(self._pod_changed, lambda old, new: self._pod_changed(new), self._pod_deleted)

    def _node_updated(self, old: Object, new: Object) -> None:
        if _no_execute(old) != _no_execute(new):
            self._node_changed(new)

    def _node_changed(self, node: Object) -> None:
        for pod in self.pods.list():
            if node_name(pod) == node["metadata"]["name"]:
                self.enqueue(pod)

    def _pod_changed(self, pod: Object) -> None:
        node = self.nodes.get(None, node_name(pod))
        if pod["metadata"]["uid"] in self._since or (node is not None and _no_execute(node)):
            self.enqueue(pod)

    def _pod_deleted(self, pod: Object) -> None:
        self._since.pop(pod["metadata"]["uid"], None)

    async def sync(self, key: Key) -> None:
        pod = self.pods.get(*key)
        if pod is None or is_terminating(pod):
            return
        uid = pod["metadata"]["uid"]
        node = self.nodes.get(None, node_name(pod))
        taints = _no_execute(node) if node is not None else []
        stay = toleration_seconds(taints, pod["spec"].get("tolerations") or []) if taints else None
        if stay is None:
            if self._since.pop(uid, None) is not None and not taints:
                message = f"Cancelling deletion of Pod {key[0]}/{key[1]}"
                self.recorder.event(pod, "Normal", "TaintManagerEviction", message)
            return
        now = self.clock.monotonic()
        left = self._since.setdefault(uid, now) + stay - now
        if left > 0:
            self.queue.add_after(key, left)
        else:
            await self._evict(key, pod)

    async def _evict(self, key: Key, pod: Object) -> None:
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key[0]}/{key[1]}")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": MESSAGE,
            "lastTransitionTime": timestamp(self.clock.now()),
        }
        uid = pod["metadata"]["uid"]
        patch = {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}
        try:
            await self.client.patch(PODS, key[1], patch, key[0], subresource="status")
            await self.client.delete(PODS, key[1], key[0], uid=uid)
        except NotFound:
            return


def _no_execute(node: Object) -> list[Object]:
    return [taint for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"]
