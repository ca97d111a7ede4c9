"""One worker a pod: it syncs the pod until that is to end, ends it, and buries it.

Upstream: pkg/kubelet/pod_workers.go. A pod (by UID) goes through three states and never back: syncing → terminating →
terminated. A pod of the same name with another UID is another pod and has another worker.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable

from kubelab.clock import Clock
from kubelab.cluster.kubelet import conditions, podutil
from kubelab.cluster.kubelet.alarm import Alarm
from kubelab.cluster.kubelet.pod_lifecycle import PodLifecycle
from kubelab.cluster.kubelet.pod_sync import SyncError
from kubelab.cluster.kubelet.podutil import Pod
from kubelab.runtime.api import RuntimeServiceError

log = logging.getLogger(__name__)

RETRY_FIRST, RETRY_MOST = 0.5, 10.0  # seconds


class PodWorker:
    """`update` with each version of the pod, `remove` when it is gone from the API, `wake` when something happened."""

    def __init__(
        self, pod: Pod, lifecycle: PodLifecycle, clock: Clock, resync: float, on_end: Callable[[PodWorker], None]
    ) -> None:
        self.pod, self.uid = pod, podutil.uid(pod)
        self._lifecycle, self._clock, self._resync = lifecycle, clock, resync
        self._alarm, self._removed = Alarm(clock), False
        self._failures = 0
        self._task = asyncio.create_task(self._run(), name=f"pod {podutil.describe(pod)}")
        self._task.add_done_callback(lambda _: on_end(self))

    def update(self, pod: Pod) -> None:
        """The kubelet's own writes to the status come back here too: they are no reason to look again."""
        old, self.pod = self.pod, pod
        if self._is_to_end():
            self._lifecycle.abort(self.uid)
        if self._removed or _asks(old) != _asks(pod):
            self._alarm.ring()

    def remove(self, pod: Pod) -> None:
        self._removed = True
        self.update(pod)

    def wake(self) -> None:
        self._alarm.ring()

    def cancel(self) -> asyncio.Task[None]:
        """Stop working on the pod; it runs on in the runtime."""
        self._task.cancel()
        return self._task

    def _is_to_end(self) -> bool:
        return self._removed or podutil.is_deleting(self.pod)

    async def _run(self) -> None:
        await self._live()
        log.info("ending pod %s", podutil.describe(self.pod))
        await self._end()
        await self._bury()
        await self._until_done(lambda: self._lifecycle.clean_up(self.pod))

    async def _live(self) -> None:
        """Sync until the pod is to end or has come to its own end."""
        while not self._is_to_end() and not podutil.is_terminal(self.pod):
            again_in = await self._sync_once()
            if again_in is None:
                return
            if again_in > 0 and not self._is_to_end():
                await self._alarm.wait(self._clock.monotonic() + again_in)

    async def _sync_once(self) -> float | None:
        """Seconds until the next sync where nothing happens before; None at the pod's end."""
        try:
            changed = await self._lifecycle.sync(self.pod)
        except SyncError as error:
            log.info("pod %s: %s", podutil.describe(self.pod), error)
            return self._retry_after() if error.retry_after is None else error.retry_after
        except Exception as error:
            self._log(error)
            return self._retry_after()
        self._failures = 0
        if changed is None:
            return None
        if changed:
            return 0.0
        deadline = self._lifecycle.deadline(self.pod)
        resync = self._resync * (1 + random.random() / 2)
        return resync if deadline is None else max(0.0, min(resync, deadline))

    async def _end(self) -> None:
        """Stop the pod. A shorter grace period that comes meanwhile takes the place of the longer."""
        while True:
            grace = self._lifecycle.grace_period(self.pod)
            ending = asyncio.ensure_future(self._until_done(lambda g=grace: self._lifecycle.end(self.pod, g)))
            shorter = asyncio.ensure_future(self._shorter_grace(grace))
            try:
                await asyncio.wait({ending, shorter}, return_when=asyncio.FIRST_COMPLETED)
                if ending.done():
                    return ending.result()
            finally:
                ending.cancel()
                shorter.cancel()

    async def _shorter_grace(self, grace: float) -> None:
        while self._lifecycle.grace_period(self.pod) >= grace:
            await self._alarm.wait()

    async def _bury(self) -> None:
        await self._until_done(lambda: self._lifecycle.bury(self.pod))
        told = self.pod
        while not self._removed:
            await self._alarm.wait()
            if not self._removed and self.pod is not told and podutil.is_deleting(self.pod):
                told = self.pod
                await self._until_done(lambda: self._lifecycle.bury(self.pod))

    async def _until_done(self, step: Callable) -> None:
        """Carry `step` out; where it fails, again after a while."""
        self._failures = 0
        while True:
            try:
                return await step()
            except Exception as error:
                self._log(error)
            await self._clock.sleep(self._retry_after())

    def _retry_after(self) -> float:
        self._failures += 1
        return min(RETRY_FIRST * 2 ** (self._failures - 1), RETRY_MOST)

    def _log(self, error: Exception) -> None:
        expected = isinstance(error, (RuntimeServiceError, OSError))
        log.error("pod %s: %s", podutil.describe(self.pod), error, exc_info=None if expected else error)


def _asks(pod: Pod) -> tuple[object, ...]:
    """What others decide about a pod (upstream's RECONCILE leaves the rest alone)."""
    metadata = pod["metadata"]
    decided = [metadata.get(f) for f in ("labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds")]
    others = [c for c in pod.get("status", {}).get("conditions", []) if c["type"] not in conditions.OWNED]
    return (pod["spec"], *decided, others, podutil.is_terminal(pod))


class PodWorkers:
    """The workers of all pods of the node, by UID."""

    def __init__(self, lifecycle: PodLifecycle, clock: Clock, resync: float) -> None:
        self._lifecycle, self._clock, self._resync = lifecycle, clock, resync
        self._workers: dict[str, PodWorker] = {}

    def update(self, pod: Pod) -> None:
        worker = self._workers.get(podutil.uid(pod))
        if worker is None:
            self._workers[podutil.uid(pod)] = PodWorker(pod, self._lifecycle, self._clock, self._resync, self._ended)
        else:
            worker.update(pod)

    def remove(self, pod: Pod) -> None:
        worker = self._workers.get(podutil.uid(pod))
        if worker is not None:
            worker.remove(pod)

    def wake(self, pod_uid: str) -> None:
        if pod_uid in self._workers:
            self._workers[pod_uid].wake()

    def wake_all(self) -> None:
        for worker in self._workers.values():
            worker.wake()

    def pods(self) -> list[Pod]:
        return [worker.pod for worker in self._workers.values()]

    def _ended(self, worker: PodWorker) -> None:
        self._workers.pop(worker.uid, None)

    async def stop(self) -> None:
        """The agent ends; the pods run on."""
        await asyncio.gather(*(worker.cancel() for worker in list(self._workers.values())), return_exceptions=True)
