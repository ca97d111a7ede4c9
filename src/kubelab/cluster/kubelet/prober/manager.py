"""The probes of all pods of a node: their workers, and what a pod's status gets from them.

Upstream: pkg/kubelet/prober/prober_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.kubelet import podutil
from kubelab.cluster.kubelet.actions import Verdict
from kubelab.cluster.kubelet.podutil import Pod
from kubelab.cluster.kubelet.prober.prober import Prober
from kubelab.cluster.kubelet.prober.results import Result, Results
from kubelab.cluster.kubelet.prober.worker import Worker
from kubelab.cluster.kubelet.runtime_status import SCHEME
from kubelab.cluster.kubelet.status_manager import StatusManager
from kubelab.runtime.api import ContainerStatus

Status = dict[str, Any]
KINDS = ("startup", "readiness", "liveness")


class ProbeManager:
    """`on_verdict(pod_uid)` is called when the pod should be looked at again."""

    def __init__(
        self, prober: Prober, statuses: StatusManager, clock: Clock, on_verdict: Callable[[str], None]
    ) -> None:
        self.prober, self.started_at = prober, clock.monotonic()
        self._statuses, self._clock, self._on_verdict = statuses, clock, on_verdict
        self._workers: dict[tuple[str, str, str], Worker] = {}  # pod UID, container name, kind
        self._ending: set[str] = set()
        self.results = {
            "readiness": Results(self._readiness_changed),
            "liveness": Results(self._liveness_changed),
            "startup": Results(self._startup_changed),
        }

    # -- workers

    def add_pod(self, pod: Pod) -> None:
        """Start what the pod asks for and does not have yet. Init containers have probes only as sidecars."""
        for container in podutil.all_containers(pod):
            if container in podutil.init_containers(pod) and not podutil.is_sidecar(container):
                continue
            for kind in KINDS:
                key = (podutil.uid(pod), container["name"], kind)
                if container.get(f"{kind}Probe") and key not in self._workers:
                    self._workers[key] = Worker(self, kind, pod, container, self._clock)
                    self._workers[key].start()

    def stop_liveness_and_startup(self, pod: Pod) -> None:
        """The pod ends: nothing may restart its containers, and readiness goes on."""
        self._ending.add(podutil.uid(pod))
        for kind in ("liveness", "startup"):
            self._stop(lambda key, kind=kind: key[0] == podutil.uid(pod) and key[2] == kind)

    def remove_pod(self, pod_uid: str) -> None:
        self._stop(lambda key: key[0] == pod_uid)
        self._ending.discard(pod_uid)

    def stop(self) -> None:
        self._stop(lambda _: True)

    def _stop(self, chosen: Callable[[tuple[str, str, str]], bool]) -> None:
        for key in [k for k in self._workers if chosen(k)]:
            self._workers.pop(key).stop()

    def worker_ended(self, worker: Worker) -> None:
        key = (podutil.uid(worker.pod), worker.container["name"], worker.kind)
        if self._workers.get(key) is worker:
            del self._workers[key]

    # -- what the workers ask

    def pod_status(self, pod_uid: str) -> Status | None:
        return self._statuses.get(pod_uid)

    def is_ending(self, pod: Pod) -> bool:
        return podutil.uid(pod) in self._ending

    # -- what the verdicts do

    def _readiness_changed(self, pod_uid: str, container_id: str, result: Result) -> None:
        self._statuses.set_container(pod_uid, container_id, ready=result == Result.SUCCESS)

    def _startup_changed(self, pod_uid: str, container_id: str, result: Result) -> None:
        self._statuses.set_container(pod_uid, container_id, started=result == Result.SUCCESS)
        self._on_verdict(pod_uid)

    def _liveness_changed(self, pod_uid: str, container_id: str, result: Result) -> None:
        if result == Result.FAILURE:
            self._on_verdict(pod_uid)

    def judge(self, container: ContainerStatus) -> Verdict:
        """What the probes say of a running container."""
        container_id = SCHEME + container.id
        if self.results["liveness"].get(container_id) == Result.FAILURE:
            return Verdict.LIVENESS_FAILED
        if self.results["startup"].get(container_id) == Result.FAILURE:
            return Verdict.STARTUP_FAILED
        return Verdict.FINE

    def has_started(self, pod: Pod, name: str, container_id: str) -> bool:
        """Whether a running container has passed its startup probe, or has none."""
        result = self.results["startup"].get(container_id)
        if result is not None:
            return result == Result.SUCCESS
        return (podutil.uid(pod), name, "startup") not in self._workers

    def update_status(self, pod: Pod, status: Status) -> None:
        """Fill in `started` and `ready` of each container (UpdatePodStatus)."""
        for told in status.get("containerStatuses", []):
            self._update_container(pod, told)
        for told in status.get("initContainerStatuses", []):
            spec = podutil.find_container(pod, told["name"])
            if spec is not None and podutil.is_sidecar(spec):
                self._update_container(pod, told)
            else:
                self._update_init_container(told)

    def _update_container(self, pod: Pod, told: Status) -> None:
        running = "running" in told["state"]
        container_id = told.get("containerID", "")
        told["started"] = running and self.has_started(pod, told["name"], container_id)
        told["ready"] = told["started"] and self._is_ready(pod, told["name"], container_id)

    def _is_ready(self, pod: Pod, name: str, container_id: str) -> bool:
        if self.results["readiness"].get(container_id) == Result.SUCCESS:
            return True
        worker = self._workers.get((podutil.uid(pod), name, "readiness"))
        if worker is None:
            return True  # no readiness probe: ready once started
        worker.trigger()
        return False

    @staticmethod
    def _update_init_container(told: Status) -> None:
        ended = told["state"].get("terminated")
        told["started"] = "running" in told["state"]
        told["ready"] = ended is not None and ended["exitCode"] == 0
