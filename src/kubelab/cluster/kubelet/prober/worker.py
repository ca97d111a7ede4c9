"""One probe of one container: when it is tried, and what its answers add up to.

Upstream: pkg/kubelet/prober/worker.go, which this follows line for line in what it decides.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Any

from kubelab.clock import Clock
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.alarm import Alarm
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.prober.results import Result, Results
from kubelab.cluster.kubelet.runtime_status import parse_time

if TYPE_CHECKING:
    from kubelab.cluster.kubelet.prober.manager import ProbeManager

log = logging.getLogger(__name__)

INITIAL = {"readiness": Result.FAILURE, "liveness": Result.SUCCESS, "startup": Result.UNKNOWN}
DEFAULTS = {"initialDelaySeconds": 0, "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1}
DEFAULTS |= {"failureThreshold": 3}


class Worker:
    """Runs until the pod is gone or will not run again, or `stop()`."""

    def __init__(self, manager: ProbeManager, kind: str, pod: Pod, container: Container, clock: Clock) -> None:
        self.kind, self.pod, self.container = kind, pod, container
        self._manager, self._clock = manager, clock
        self.spec: dict[str, Any] = {**DEFAULTS, **container[f"{kind}Probe"]}
        self._alarm = Alarm(clock)
        self._task: asyncio.Task[None] | None = None
        self._container_id = ""
        self._on_hold = False
        self._last_result: Result | None = None
        self._run_length = 0

    @property
    def _results(self) -> Results:
        return self._manager.results[self.kind]

    def start(self) -> None:
        where = f"{podutil.describe(self.pod)}/{self.container['name']}"
        self._task = asyncio.create_task(self._run(), name=f"{self.kind} probe of {where}")

    def trigger(self) -> None:
        """Probe now, not at the next tick."""
        self._alarm.ring()

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        period = float(self.spec["periodSeconds"])
        if period > self._clock.monotonic() - self._manager.started_at:
            await self._clock.sleep(random.random() * period)  # a kubelet that just started spreads its probes
        tick = self._clock.monotonic() + period
        try:
            while await self._probe_safely():
                if not await self._alarm.wait(tick):
                    tick = max(tick + period, self._clock.monotonic())  # a tick that was missed is not made up for
        finally:
            if self._container_id:
                self._results.remove(self._container_id)
            self._manager.worker_ended(self)

    async def _probe_safely(self) -> bool:
        try:
            return await self.probe_once()
        except Exception:
            log.exception("%s probe of %s", self.kind, podutil.describe(self.pod))
            return True

    async def probe_once(self) -> bool:
        """Probe if it is time to, and note the verdict. False when there is nothing left to probe, ever."""
        status = self._manager.pod_status(podutil.uid(self.pod))
        if status is None:
            return True
        if status["phase"] in podutil.TERMINAL_PHASES:
            return False
        told = _container_status(status, self.container["name"])
        if told is None or not told.get("containerID"):
            return True
        self._follow(told["containerID"])
        if self._on_hold:
            return True
        if "running" not in told["state"]:
            self._note(Result.FAILURE)
            return "terminated" not in told["state"] or podutil.restart_policy(self.pod) != "Never"
        if self._manager.is_ending(self.pod) and self.kind in ("liveness", "startup"):
            self._note(Result.SUCCESS)  # let it end in peace
            return False
        if self._is_due(told):
            await self._probe(status)
        return True

    def _follow(self, container_id: str) -> None:
        """Begin anew with a new container."""
        if self._container_id == container_id:
            return
        if self._container_id:
            self._results.remove(self._container_id)
        self._container_id = container_id
        self._note(INITIAL[self.kind])
        self._on_hold = False

    def _is_due(self, told: dict[str, Any]) -> bool:
        """Not within the initial delay; startup before, and the others once the container has started."""
        running_for = self._clock.now() - parse_time(told["state"]["running"]["startedAt"])
        if int(running_for.total_seconds()) < self.spec["initialDelaySeconds"]:
            return False
        return bool(told.get("started")) != (self.kind == "startup")

    async def _probe(self, status: dict[str, Any]) -> None:
        probing = self._container_id
        result = await self._manager.prober.probe(self.kind, self.pod, status, self.container, probing)
        if result is None:
            return  # the probe itself failed: that says nothing about the container
        self._run_length = self._run_length + 1 if result == self._last_result else 1
        self._last_result = result
        threshold = self.spec["failureThreshold" if result == Result.FAILURE else "successThreshold"]
        if self._run_length < threshold:
            return
        self._note(result)
        if self.kind in ("liveness", "startup") and result == Result.FAILURE:
            self._on_hold = True  # it will be restarted: wait for the new container
            self._run_length = 0

    def _note(self, result: Result) -> None:
        self._results.set(self._container_id, result, podutil.uid(self.pod))


def _container_status(status: dict[str, Any], name: str) -> dict[str, Any] | None:
    for field in ("containerStatuses", "initContainerStatuses"):
        found = podutil.find_status(status.get(field, []), name)
        if found is not None and found.get("containerID"):
            return found
    return None
