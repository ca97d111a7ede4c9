"""Create and delete a job's pods. Upstream: manageJob in pkg/controller/job/job_controller.go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kubelab.cluster.client import APIClient, APIError, Conflict, NotFound
from kubelab.cluster.controllers.controller import Object
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.controllers.job import index_failures, indexes
from kubelab.cluster.controllers.job.pods import (
    FINALIZER,
    completion_index,
    generate_name,
    has_finalizer,
    is_indexed,
    is_suspended,
    replaces_failed_only,
    template_of,
)
from kubelab.cluster.controllers.job.tally import Tally
from kubelab.cluster.controllers.podcontrol import PodControl
from kubelab.cluster.controllers.ranking import pods_to_delete
from kubelab.cluster.controllers.replicas import slow_start
from kubelab.cluster.pods import is_ready, is_terminating
from kubelab.cluster.resources import PODS

MOST_AT_ONCE = 500  # pods created or deleted in one round


class PodManager:
    """Brings the number of active pods to what the tally wants; what it does it adds to the tally."""

    def __init__(self, client: APIClient, pod_control: PodControl, expectations: Expectations) -> None:
        self._client, self._pod_control, self._expectations = client, pod_control, expectations

    async def manage(self, tally: Tally) -> float:
        """One round: deletes, or creates where nothing was to be deleted. Gives the seconds that a failure makes the
        next pod wait, 0 for none. Raises APIError.
        """
        wanted = 0 if is_suspended(tally.job) else tally.wanted_active()
        surplus = self._surplus(tally, max(tally.active - wanted, 0))
        if surplus:
            await self._delete(tally, surplus[:MOST_AT_ONCE])
            return 0.0
        missing = wanted - tally.active - (tally.terminating if replaces_failed_only(tally.job) else 0)
        if missing <= 0:
            return 0.0
        wait = 0.0 if index_failures.applies(tally.job) else tally.backoff.remaining(tally.now)
        if wait:
            return wait
        return await self._create(tally, min(missing, MOST_AT_ONCE))

    @staticmethod
    def _surplus(tally: Tally, at_least: int) -> list[Object]:
        """Pods to delete; those whose index is wrong or taken by another come first, however few pods there are."""
        kept, wrong = tally.active_pods, []
        if is_indexed(tally.job):
            kept, wrong = _one_an_index(tally)
        missing = max(at_least - len(wrong), 0)
        return wrong + (pods_to_delete(kept, [], missing, tally.now) if missing else [])

    async def _create(self, tally: Tally, count: int) -> float:
        """Gives the seconds after which the next index may be tried, where all of them have to wait."""
        waiting: list[int | None] = [None] * count
        if is_indexed(tally.job):
            pending = indexes.first_pending(count, tally.completions or 0, _taken(tally))
            waits = {index: index_failures.wait(tally.kept.get(index), tally.now) for index in pending}
            waiting = [index for index in pending if not waits[index]]
            if not waiting:
                return min(waits.values(), default=0.0)
        self._expectations.expect_creations(tally.key, len(waiting))
        following = iter(waiting)

        async def create() -> None:
            index = next(following)
            try:
                template = template_of(tally.job, index)
                if index is not None and index_failures.applies(tally.job):
                    template["metadata"]["annotations"] |= index_failures.annotations(tally.job, tally.kept.get(index))
                await self._pod_control.create(tally.job, template, generate_name(tally.job, index))
            except APIError as error:
                if not error.has_cause("NamespaceTerminating"):
                    raise

        created, failure = await slow_start(len(waiting), create)
        tally.active += created
        if created < len(waiting):
            self._expectations.creation_observed(tally.key, len(waiting) - created)
        if failure is not None:
            raise failure
        return 0.0

    async def _delete(self, tally: Tally, pods: list[Object]) -> None:
        """These pods do not count as failures: they lose the finalizer before they are deleted."""
        self._expectations.expect_deletions(tally.key, [pod["metadata"]["uid"] for pod in pods])

        async def delete(pod: Object) -> None:
            try:
                if has_finalizer(pod):
                    await remove_finalizer(self._client, pod)
                await self._pod_control.delete(tally.job, pod)
            except APIError as error:
                self._expectations.deletion_observed(tally.key, pod["metadata"]["uid"])
                if not isinstance(error, NotFound | Conflict):
                    raise

        await self._gather(tally, pods, delete)

    async def delete_active(self, tally: Tally) -> None:
        """The job has failed: its pods go, and count as failures. Raises APIError where one could not be deleted."""

        async def delete(pod: Object) -> None:
            try:
                await self._pod_control.delete(tally.job, pod)
            except NotFound:
                return

        await self._gather(tally, tally.active_pods, delete)

    @staticmethod
    async def _gather(tally: Tally, pods: list[Object], delete: Callable[[Object], Awaitable[None]]) -> None:
        results = await asyncio.gather(*(delete(pod) for pod in pods), return_exceptions=True)
        for pod, result in zip(pods, results, strict=True):
            if not isinstance(result, BaseException):
                tally.active -= 1
                tally.terminating += 1
                tally.ready -= is_ready(pod)
        for result in results:
            if isinstance(result, BaseException):
                raise result


async def remove_finalizer(client: APIClient, pod: Object) -> None:
    """Raises NotFound where the pod is gone, Conflict where another has its name."""
    metadata = pod["metadata"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER], "uid": metadata["uid"]}}
    await client.patch(PODS, metadata["name"], patch, metadata["namespace"])


def _one_an_index(tally: Tally) -> tuple[list[Object], list[Object]]:
    """(one active pod for each index, those that have no index of the job's or one that another has)."""
    by_index: dict[int, list[Object]] = {}
    wrong: list[Object] = []
    for pod in tally.active_pods:
        index = completion_index(pod)
        if index is None or index >= (tally.completions or 0):
            wrong.append(pod)
        else:
            by_index.setdefault(index, []).append(pod)
    for same in by_index.values():
        wrong += pods_to_delete(same, [], len(same) - 1, tally.now) if len(same) > 1 else []
    gone = {pod["metadata"]["uid"] for pod in wrong}
    return [pod for pod in tally.active_pods if pod["metadata"]["uid"] not in gone], wrong


def _taken(tally: Tally) -> set[int]:
    """Indexes that are done, have failed for good, or are worked on."""
    busy = list(tally.active_pods)
    if replaces_failed_only(tally.job):
        busy += [pod for pod in tally.pods if is_terminating(pod)]
    return tally.done | tally.failed_indexes | {index for pod in busy if (index := completion_index(pod)) is not None}
