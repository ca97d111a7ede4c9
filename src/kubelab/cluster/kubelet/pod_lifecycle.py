"""The three things the kubelet does with a pod: make it what it should be, end it, and leave nothing behind.

Upstream: SyncPod, SyncTerminatingPod and SyncTerminatedPod in pkg/kubelet/kubelet.go. `pod_workers.py` decides when.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from shutil import rmtree
from typing import Any

from kubelab.cluster.client import APIError
from kubelab.cluster.kubelet import actions, admission, conditions, pod_status, podutil
from kubelab.cluster.kubelet.container_config import log_folder
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.pod_sync import PodSyncer, SyncError
from kubelab.cluster.kubelet.podutil import TERMINAL_PHASES, Container, Pod
from kubelab.cluster.kubelet.prober.manager import ProbeManager
from kubelab.cluster.kubelet.reasons import ReasonCache
from kubelab.cluster.kubelet.runtime_pods import RuntimePods
from kubelab.cluster.kubelet.runtime_status import SCHEME, RuntimePod, parse_time
from kubelab.cluster.kubelet.status_manager import StatusManager
from kubelab.cluster.kubelet.volume_content import VolumeError
from kubelab.cluster.kubelet.volumes import Volumes
from kubelab.runtime.api import ContainerState, ContainerStatus

log = logging.getLogger(__name__)

Status = dict[str, Any]
Allocatable = Callable[[], dict[str, str]]
Look = Callable[[bool], Awaitable[dict[str, Any]]]  # the Node object: as last read, or (True) read anew
VOLUME_REFRESH_SECONDS = 60.0
EVICTED, EVICTION_GRACE_SECONDS = "Evicted", 1
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class PodLifecycle:
    def __init__(
        self,
        node: Node,
        pods: RuntimePods,
        syncer: PodSyncer,
        statuses: StatusManager,
        probes: ProbeManager,
        volumes: Volumes,
        reasons: ReasonCache,
        allocatable: Allocatable,
        look: Look,
    ) -> None:
        self._node, self._pods, self._syncer, self._statuses = node, pods, syncer, statuses
        self._probes, self.volumes, self._reasons, self._allocatable = probes, volumes, reasons, allocatable
        self._look = look
        self._failed: dict[str, tuple[str, str]] = {}  # pod UID -> reason and message of a pod that the kubelet ends
        self._admitted: dict[str, Pod] = {}  # pod UID -> a pod that has its place here
        self._evicted: dict[str, str] = {}  # pod UID -> why
        self._refreshed: dict[str, tuple[float, Any]] = {}  # pod UID -> when its volumes were set up, and what it was

    async def sync(self, pod: Pod) -> bool | None:
        """One step towards what the pod asks for. None: it has come to its end; True: look again at once.

        SyncError where it has to be tried again later.
        """
        observed = await self._pods.get(podutil.uid(pod))
        if why := admission.reject(pod) or await self._misfit(pod, observed):
            return self._fail(pod, observed, why)
        self._probes.add_pod(pod)
        status = self._generate(pod, observed)
        if self._past_deadline(pod, status):
            return self._fail(pod, observed, DEADLINE)
        if message := self._evicted.get(podutil.uid(pod)):
            return self._fail(pod, observed, (EVICTED, message))
        self._statuses.set(pod, status)
        if status["phase"] in TERMINAL_PHASES:
            return None
        facts = self._facts(observed)
        plan = actions.compute(pod, observed, self._probes.judge, self._has_started(pod))
        await self._set_up_volumes(pod, observed, facts)
        try:
            changed = await self._syncer.sync(pod, observed, plan, facts)
        except SyncError:
            observed = await self._pods.get(podutil.uid(pod))
            self._statuses.set(pod, self._generate(pod, observed))  # why it waits is told at once
            raise
        await self._pods.prune(observed)
        return changed

    def abort(self, pod_uid: str) -> None:
        """The pod is to end: cut short what `sync` may be waiting for."""
        self._syncer.abort(pod_uid)

    async def end(self, pod: Pod, grace: float) -> None:
        """Stop the pod within `grace` seconds; its status says so before and after."""
        observed = await self._pods.get(podutil.uid(pod))
        self._statuses.set(pod, self._generate(pod, observed))
        self._probes.stop_liveness_and_startup(pod)
        await self._syncer.kill_pod(pod, observed, grace)
        self._probes.remove_pod(podutil.uid(pod))
        observed = await self._pods.get(podutil.uid(pod))
        self._statuses.set(pod, self._generate(pod, observed, terminal=True))

    async def bury(self, pod: Pod) -> None:
        """Tell the last status. The containers stay, stopped, for their logs, until the pod is gone from the API."""
        observed = await self._pods.get(podutil.uid(pod))
        self._statuses.terminate(pod, self._generate(pod, observed, terminal=True))

    async def clean_up(self, pod: Pod) -> None:
        """The pod is gone from the API: leave nothing of it on the node."""
        uid = podutil.uid(pod)
        await self._pods.remove(uid)
        self.volumes.tear_down(uid)
        rmtree(log_folder(self._node.pods_folder, pod), ignore_errors=True)
        self._statuses.forget(uid)
        self._probes.remove_pod(uid)
        self._syncer.forget(uid)
        self._refreshed.pop(uid, None)
        self._failed.pop(uid, None)
        self._evicted.pop(uid, None)
        self._admitted.pop(uid, None)

    async def _misfit(self, pod: Pod, observed: RuntimePod) -> admission.Why | None:
        """Asked once: a pod that was admitted, or that runs here from before this agent, stays.

        Between the last answer and the pod's place in `_admitted` nobody else's turn comes.
        """
        uid = podutil.uid(pod)
        if uid not in self._admitted and not observed.sandboxes:
            why = self._failed.get(uid) or self._judge(pod, await self._look(False))
            if why is not None and why[0] in admission.OF_THE_NODE and uid not in self._failed:
                why = self._judge(pod, await self._look(True))
            if why is not None:
                return why
        self._admitted[uid] = pod
        return None

    def _judge(self, pod: Pod, node: dict[str, Any]) -> admission.Why | None:
        others = [p for uid, p in self._admitted.items() if not self._is_over(uid)]
        return admission.misfit(pod, others, {**node, "status": {"allocatable": self._allocatable()}})

    def _is_over(self, pod_uid: str) -> bool:
        return (self._statuses.get(pod_uid) or {}).get("phase") in TERMINAL_PHASES

    def evict(self, pod_uid: str, message: str) -> None:
        """End the pod at the next sync, with a second for its containers to stop in."""
        self._evicted[pod_uid] = message

    def grace_period(self, pod: Pod) -> int:
        """Seconds between SIGTERM and SIGKILL."""
        evicted = podutil.uid(pod) in self._evicted
        return EVICTION_GRACE_SECONDS if evicted else podutil.grace_period(pod)

    def deadline(self, pod: Pod) -> float | None:
        """Seconds until the pod's activeDeadlineSeconds are over."""
        allowed = pod["spec"].get("activeDeadlineSeconds")
        started = (self._statuses.get(podutil.uid(pod)) or {}).get("startTime")
        if allowed is None or not started:
            return None
        return allowed - (self._node.clock.now() - parse_time(started)).total_seconds()

    def _past_deadline(self, pod: Pod, status: Status) -> bool:
        left = self.deadline(pod)
        return left is not None and left <= 0 and status["phase"] not in TERMINAL_PHASES

    def _fail(self, pod: Pod, observed: RuntimePod, why: tuple[str, str]) -> None:
        """The kubelet itself ends the pod: phase Failed, with reason and message of its own."""
        reason, message = why
        self._failed[podutil.uid(pod)] = why
        told = message.removeprefix(admission.REJECTED)
        self._node.recorder.event(pod, "Normal" if why == DEADLINE else "Warning", reason, told)
        self._statuses.set(pod, self._generate(pod, observed))

    def _generate(self, pod: Pod, observed: RuntimePod, *, terminal: bool = False) -> Status:
        told, why = pod.get("status", {}), self._failed.get(podutil.uid(pod))
        # an agent before this one may have said it
        rejection = why or (
            told.get("reason", ""),
            told.get("message", ""),
        )
        if rejection[1].startswith(admission.REJECTED):
            return pod_status.rejected(pod, *rejection)
        status = pod_status.generate(
            pod,
            observed,
            self._statuses.get(podutil.uid(pod)) or pod.get("status", {}),
            host_ip=self._node.config.node_ip,
            reasons=self._reasons,
            probes=self._probes.update_status,
            terminal=terminal,
        )
        if why is not None:
            status.update(phase="Failed", reason=why[0], message=why[1])
            status["conditions"] = [c for c in status["conditions"] if c["type"] not in conditions.OWNED]
            status["conditions"] += conditions.generate(pod, status, observed.ready_sandbox is not None)
            if why[0] == EVICTED:
                conditions.disrupt(status, why[1])
        return status

    def _facts(self, observed: RuntimePod) -> Runtime:
        ip = observed.sandbox.ip if observed.sandbox else ""
        return Runtime(self._node.config.node_ip, ip, self._allocatable())

    def _has_started(self, pod: Pod) -> Callable[[Container, ContainerStatus], bool]:
        return lambda container, status: self._probes.has_started(pod, container["name"], SCHEME + status.id)

    async def _set_up_volumes(self, pod: Pod, observed: RuntimePod, facts: Runtime) -> None:
        """At the start, after each change of the pod, before a container starts anew, and once a minute: upstream's
        kubelet does it at each sync of a pod (volumemanager's WaitForAttachAndMount, ReprocessPod), whose occasions
        these are (podsDifferSemantically in pkg/kubelet/config, the PLEG's ContainerDied, syncFrequency)."""
        now, (last, known) = self._node.clock.monotonic(), self._refreshed.get(podutil.uid(pod), (None, None))
        ended = [c.id for c in observed.containers if c.state == ContainerState.EXITED]
        metadata = pod["metadata"]
        seen = (pod["spec"], metadata.get("labels"), metadata.get("annotations"), ended)
        if last is not None and seen == known and now - last < VOLUME_REFRESH_SECONDS:
            return
        try:
            await self.volumes.set_up(pod, facts)
        except APIError as error:
            if last is None:
                raise
            log.info("volumes of pod %s stay as they are: %s", podutil.describe(pod), error)
            return
        except VolumeError as error:
            self._node.recorder.event(pod, "Warning", "FailedMount", str(error))
            raise SyncError(str(error)) from error
        self._refreshed[podutil.uid(pod)] = (now, seen)
