"""Keep a number of pods: the one reconciler behind ReplicaSet and ReplicationController.

Upstream: pkg/controller/replicaset/replica_set.go, which ReplicationController uses through an adapter. One round of
`sync` claims pods, creates or deletes the difference unless earlier work is still unseen, and writes the status.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from kubelab.cluster.client import APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Context, Controller
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.controllers.ownership import Claimer
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.controllers.ranking import pods_to_delete
from kubelab.cluster.controllers.replicas_status import calculate_status
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import controller_of, is_active, is_ready, is_terminating
from kubelab.cluster.resources import PODS, Resource

Object = dict[str, Any]

BURST = 500  # pods created or deleted in one round
SLOW_START = 1  # pods in the first batch; each batch that succeeds is followed by one twice as large


class ReplicaController(Controller):
    """A subclass names the resource and says how its selector selects."""

    resource: ClassVar[Resource]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.owners, self.pods = context.informers.of(self.resource), context.informers.of(PODS)
        self.expectations = Expectations(context.clock)
        self.recorder = context.recorder(self.name)
        self.pod_control = PodControl(context.client, self.recorder)
        self.owners.add_handler(self.enqueue, self._owner_updated, self._owner_deleted)
        self.pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    @staticmethod
    @abstractmethod
    def selects(owner: Object, labels: dict[str, str]) -> bool:
        """Whether the owner's selector selects a pod with these labels."""

    # -- handlers

    def _owner_updated(self, old: Object, new: Object) -> None:
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._owner_deleted(old)
        self.enqueue(new)

    def _owner_deleted(self, owner: Object) -> None:
        self.expectations.forget(key_of(owner))
        self.enqueue(owner)

    def _pod_added(self, pod: Object) -> None:
        if is_terminating(pod):
            self._pod_deleted(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            self.expectations.creation_observed(key_of(owner))
            self.enqueue(owner)
        elif controller_of(pod) is None:
            self._enqueue_selecting(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if is_terminating(new):
            self._pod_deleted(new)
            return
        old_owner, owner = self._owner_of(old), self._owner_of(new)
        if old_owner is not None and old_owner is not owner:
            self.enqueue(old_owner)
        if owner is not None:
            self.enqueue(owner)
            min_ready = owner["spec"].get("minReadySeconds", 0)
            if min_ready and is_ready(new) and not is_ready(old):
                self.queue.add_after(key_of(owner), min_ready + 1)
        elif controller_of(new) is None and (_labels(old) != _labels(new) or controller_of(old) is not None):
            self._enqueue_selecting(new)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self.expectations.deletion_observed(key_of(owner), pod["metadata"]["uid"])
            self.enqueue(owner)

    def _owner_of(self, pod: Object) -> Object | None:
        """The owner of our kind that the pod's controller reference means: the UID has to be the same."""
        reference = controller_of(pod)
        if reference is None or reference["kind"] != self.resource.kind:
            return None
        owner = self.owners.get(pod["metadata"]["namespace"], reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def _enqueue_selecting(self, orphan: Object) -> None:
        for owner in self.owners.list(orphan["metadata"]["namespace"]):
            if self.selects(owner, _labels(orphan)):
                self.enqueue(owner)

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
        await self._update_status(owner, status)
        if failure is not None:
            raise failure
        self._come_back_when_available(key, owner, status)

    async def _claim(self, owner: Object, pods: list[Object]) -> list[Object]:
        claimer = Claimer(self.client, self.resource, owner, PODS, lambda pod: self.selects(owner, _labels(pod)))
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
        return [pod for pod in self.pods.list(namespace) if any(self.selects(s, _labels(pod)) for s in siblings)]

    async def _update_status(self, owner: Object, status: Object) -> None:
        """Write the status where it differs; once more over a fresh object where another writer came first."""
        if owner.get("status") == status:
            return
        try:
            await self.client.update(self.resource, {**owner, "status": status}, "status")
        except NotFound:
            return
        except Conflict:
            metadata = owner["metadata"]
            fresh = await self.client.get(self.resource, metadata["name"], metadata["namespace"])
            if fresh["metadata"]["uid"] == metadata["uid"]:
                await self.client.update(self.resource, {**fresh, "status": status}, "status")

    def _come_back_when_available(self, key: Key, owner: Object, status: Object) -> None:
        """A pod becomes available by the mere passing of time, which no watch tells."""
        min_ready, wanted = owner["spec"].get("minReadySeconds", 0), owner["spec"].get("replicas", 1)
        if min_ready and status.get("readyReplicas", 0) == wanted != status.get("availableReplicas", 0):
            self.queue.add_after(key, min_ready)


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


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
