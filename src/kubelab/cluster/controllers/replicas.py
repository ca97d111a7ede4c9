"""Keep a number of pods: the one reconciler behind ReplicaSet and ReplicationController.

Upstream: pkg/controller/replicaset/replica_set.go, which ReplicationController uses through an adapter. One round of
`sync` claims pods, creates or deletes the difference unless earlier work is still unseen, and writes the status.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kubelab.cluster.client import APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Context
from kubelab.cluster.controllers.ownercontroller import PodOwnerController, labels_of
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.controllers.ranking import pods_to_delete
from kubelab.cluster.controllers.replicas_status import calculate_status
from kubelab.cluster.informer import Key
from kubelab.cluster.pods import controller_of, is_active, is_terminating
from kubelab.cluster.resources import PODS

Object = dict[str, Any]

BURST = 500  # pods created or deleted in one round
SLOW_START = 1  # pods in the first batch; each batch that succeeds is followed by one twice as large


class ReplicaController(PodOwnerController):
    """A subclass names the resource and says how its selector selects."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.recorder = context.recorder(self.name)
        self.pod_control = PodControl(context.client, self.recorder)

    # -- reconciling

    async def sync(self, key: Key) -> None:
        owner = self.owners.get(*key)
        if owner is None:
            self.expectations.forget(key)
            return
        manage = self.expectations.satisfied(key) and not is_terminating(owner)
        active = [pod for pod in self.pods.list(key[0]) if is_active(pod)]
        pods = await self._claim(owner, active)
        failure: APIError | None = None
        if manage:
            try:
                await self._manage(key, owner, pods)
            except APIError as error:
                failure = error
        now = self.clock.now()
        status = calculate_status(owner, pods, len(pods) - owner["spec"].get("replicas", 1), failure, now)
        await self.write_status(owner, status)
        if failure is not None:
            raise failure
        self._come_back_when_available(key, owner, status)

    async def _claim(self, owner: Object, pods: list[Object]) -> list[Object]:
        claimer = Claimer(self.client, self.resource, owner, PODS, lambda pod: self.selects(owner, labels_of(pod)))
        return await claimer.claim(pods)

    async def _manage(self, key: Key, owner: Object, pods: list[Object]) -> None:
        """Create what is missing or delete what is too much, and expect to see it in the cache."""
        surplus = len(pods) - owner["spec"].get("replicas", 1)
        if surplus < 0:
            await self._create(key, owner, min(-surplus, BURST))
        elif surplus > 0:
            await self._delete(key, owner, pods, min(surplus, BURST))

    async def _create(self, key: Key, owner: Object, count: int) -> None:
        self.expectations.expect_creations(key, count)

        async def create() -> None:
            try:
                await self.pod_control.create(owner, owner["spec"]["template"])
            except APIError as error:
                if not error.has_cause("NamespaceTerminating"):
                    raise

        created, failure = await slow_start(count, create)
        if created < count:
            self.expectations.creation_observed(key, count - created)
        if failure is not None:
            raise failure

    async def _delete(self, key: Key, owner: Object, pods: list[Object], count: int) -> None:
        chosen = pods_to_delete(pods, self._related_pods(owner), count, self.clock.now())
        self.expectations.expect_deletions(key, [pod["metadata"]["uid"] for pod in chosen])

        async def delete(pod: Object) -> None:
            try:
                await self.pod_control.delete(owner, pod)
            except (NotFound, Conflict):  # gone already, or another pod of that name
                self.expectations.deletion_observed(key, pod["metadata"]["uid"])
            except APIError:
                self.expectations.deletion_observed(key, pod["metadata"]["uid"])
                raise

        results = await asyncio.gather(*(delete(pod) for pod in chosen), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _related_pods(self, owner: Object) -> list[Object]:
        """Pods of every owner that has the same controller: a Deployment's old and new ReplicaSets."""
        parent = controller_of(owner)
        namespace = owner["metadata"]["namespace"]
        siblings = [owner]
        if parent is not None:
            siblings = [
                other
                for other in self.owners.list(namespace)
                if (controller_of(other) or {}).get("uid") == parent["uid"]
            ]
        return [pod for pod in self.pods.list(namespace) if any(self.selects(s, labels_of(pod)) for s in siblings)]

    def _come_back_when_available(self, key: Key, owner: Object, status: Object) -> None:
        """A pod becomes available by the mere passing of time, which no watch tells."""
        min_ready, wanted = owner["spec"].get("minReadySeconds", 0), owner["spec"].get("replicas", 1)
        if min_ready and status.get("readyReplicas", 0) == wanted != status.get("availableReplicas", 0):
            self.queue.add_after(key, min_ready)


async def slow_start(count: int, call: Callable[[], Awaitable[None]]) -> tuple[int, APIError | None]:
    """Call `count` times in batches of 1, 2, 4 …, and stop after a batch in which a call failed.

    What would fail every time (a quota, an invalid template) then fails once and not five hundred times. Gives the
    number of calls that succeeded, and the first failure.
    """
    succeeded, batch = 0, min(count, SLOW_START)
    while batch:
        results = await asyncio.gather(*(call() for _ in range(batch)), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        succeeded += batch - len(failures)
        for failure in failures:
            if not isinstance(failure, APIError):
                raise failure
            return succeeded, failure
        count -= batch
        batch = min(2 * batch, count)
    return succeeded, None
