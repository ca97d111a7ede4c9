"""Making one pod what it should be: the actions that `actions.py` has found, carried out in upstream's order.

Upstream: SyncPod and doBackOff in pkg/kubelet/kuberuntime/kuberuntime_manager.go, killPodWithSyncResult,
createPodSandbox in kuberuntime_sandbox.go.
"""

from __future__ import annotations

from kubelab.cluster.kubelet import podutil, sysctls
from kubelab.cluster.kubelet.actions import PodActions
from kubelab.cluster.kubelet.backoff import Backoff
from kubelab.cluster.kubelet.container_killer import ContainerKiller
from kubelab.cluster.kubelet.container_starter import ContainerStarter
from kubelab.cluster.kubelet.dns import HostnameError, pod_dns, pod_names
from kubelab.cluster.kubelet.fieldref import Runtime
from kubelab.cluster.kubelet.node import Node
from kubelab.cluster.kubelet.podutil import Container, Pod
from kubelab.cluster.kubelet.reasons import ReasonCache, StartError
from kubelab.cluster.kubelet.runtime_pods import RuntimePods
from kubelab.cluster.kubelet.runtime_status import RuntimePod, is_running, parse_time, pod_labels
from kubelab.cluster.kubelet.volumes import Volumes
from kubelab.runtime.api import ContainerState, PodSandboxConfig, PodSandboxStatus, RuntimeServiceError


class SyncError(Exception):
    """The pod is not yet what it should be; try again, after `retry_after` seconds where that is known."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class PodSyncer:
    """Runs the sandbox and the containers of pods on one node. `reasons` says what its containers wait for."""

    def __init__(
        self,
        node: Node,
        pods: RuntimePods,
        starter: ContainerStarter,
        killer: ContainerKiller,
        volumes: Volumes,
        reasons: ReasonCache,
    ) -> None:
        self._node, self._runtime, self._recorder = node, node.runtime, node.recorder
        self._pods, self._starter, self._killer, self._reasons = pods, starter, killer, reasons
        self._volumes = volumes
        self._backoff = Backoff(node.clock, maximum=node.config.maxContainerRestartPeriod)

    async def sync(self, pod: Pod, observed: RuntimePod, plan: PodActions, facts: Runtime) -> bool:
        """Carry `plan` out; True where something was started or stopped. SyncError where a part must be tried again."""
        if plan.kill_pod:
            await self._stop_old_sandbox(pod, observed, plan)
        for status, container, message in plan.to_kill:
            grace = _probe_grace(container, message) or podutil.grace_period(pod)
            await self._killer.kill(pod, container, status.id, message, grace, facts.pod_ip)
        if plan.done:
            return bool(observed.running)
        sandbox = observed.ready_sandbox
        if plan.create_sandbox:
            sandbox = await self._run_sandbox(pod, plan.attempt)
            facts = Runtime(facts.host_ip, sandbox.ip, facts.allocatable)
        assert sandbox is not None, "without a new sandbox the old one is ready"
        to_start = [*plan.ephemeral_to_start, *plan.init_to_start, *plan.to_start]
        await self._start_all(pod, observed, to_start, sandbox, facts)
        return bool(plan.to_kill or to_start)

    def abort(self, pod_uid: str) -> None:
        """The pod is to end: do not wait for what its start waits for."""
        self._starter.abort(pod_uid)

    def forget(self, pod_uid: str) -> None:
        """The pod is gone."""
        self._reasons.forget(pod_uid)
        self._backoff.forget(f"{pod_uid}_")
        self._starter.forget(pod_uid)

    async def kill_pod(self, pod: Pod, observed: RuntimePod, grace: float) -> None:
        """Stop every container within `grace` seconds, then the sandboxes."""
        ip = observed.sandbox.ip if observed.sandbox else ""
        await self._killer.kill_all(pod, observed.running, grace, ip)
        for sandbox in observed.sandboxes:
            await self._runtime.stop_pod_sandbox(sandbox.id)

    async def _stop_old_sandbox(self, pod: Pod, observed: RuntimePod, plan: PodActions) -> None:
        if plan.create_sandbox and observed.sandbox is not None:
            message = "Pod sandbox changed, it will be killed and re-created."
            self._recorder.event(pod, "Normal", "SandboxChanged", message)
        await self.kill_pod(pod, observed, podutil.grace_period(pod))

    async def _run_sandbox(self, pod: Pod, attempt: int) -> PodSandboxStatus:
        config = self._node.config
        try:
            names = pod_names(pod, config.clusterDomain)
        except HostnameError as error:
            self._recorder.event(pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            raise SyncError(str(error)) from error
        dns = pod_dns(pod, config, lambda reason, text: self._recorder.event(pod, "Warning", reason, text))
        sandbox_config = PodSandboxConfig(
            name=podutil.name(pod),
            namespace=podutil.namespace(pod),
            uid=podutil.uid(pod),
            machine=self._node.name,
            hostname=names.hostname,
            attempt=attempt,
            labels=pod_labels(pod),
            share_process_namespace=bool(pod["spec"].get("shareProcessNamespace")),
            dns=dns,
            sysctls=sysctls.asked(pod),
            memory_volumes=self._volumes.memory(pod),
        )
        try:
            sandbox_id = await self._runtime.run_pod_sandbox(sandbox_config)
        except RuntimeServiceError as error:
            message = f"Failed to create pod sandbox: {error}"
            self._recorder.event(pod, "Warning", "FailedCreatePodSandBox", message)
            raise SyncError(message) from error
        self._pods.add(podutil.uid(pod), sandbox_id)
        return await self._runtime.pod_sandbox_status(sandbox_id)

    async def _start_all(
        self, pod: Pod, observed: RuntimePod, containers: list[Container], sandbox: PodSandboxStatus, facts: Runtime
    ) -> None:
        """Start each; the first failure that has to wait longest decides nothing for the others."""
        failures: list[StartError] = []
        for container in containers:
            try:
                await self._start(pod, observed, container, sandbox, facts)
            except StartError as error:
                self._reasons.set(podutil.uid(pod), container["name"], error)
                failures.append(error)
            else:
                self._reasons.clear(podutil.uid(pod), container["name"])
        if failures:
            waits = [f.retry_after for f in failures if f.retry_after is not None]
            raise SyncError("; ".join(map(str, failures)), min(waits, default=None))

    async def _start(
        self, pod: Pod, observed: RuntimePod, container: Container, sandbox: PodSandboxStatus, facts: Runtime
    ) -> None:
        self._back_off(pod, observed, container)
        target = observed.latest_active(container.get("targetContainerName", ""))
        latest = observed.latest(container["name"])
        await self._starter.start(pod, container, sandbox, latest, facts, target.id if is_running(target) else "")

    def _back_off(self, pod: Pod, observed: RuntimePod, container: Container) -> None:
        """CrashLoopBackOff: StartError while the time since the container's last end is too short."""
        name = container["name"]
        last = next((c for c in observed.attempts(name) if c.state == ContainerState.EXITED), None)
        if last is None:
            return
        key, ended = f"{podutil.uid(pod)}_{name}", parse_time(last.finished_at)
        remaining = self._backoff.remaining(key, ended)
        if remaining:
            whom = f"container={name} pod={podutil.describe(pod)}"
            message = f"Back-off restarting failed container {name} in pod {podutil.describe(pod)}"
            self._recorder.event(pod, "Warning", "BackOff", message, field_path=podutil.field_path(pod, container))
            wait = f"back-off {_go_duration(self._backoff.get(key))} restarting failed {whom}"
            raise StartError("CrashLoopBackOff", wait, remaining)
        self._backoff.next(key, ended)


def _probe_grace(container: Container, message: str) -> float | None:
    """A failed probe may set a grace period of its own."""
    for kind in ("liveness", "startup"):
        if f"failed {kind} probe" in message:
            return (container.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds")
    return None


def _go_duration(seconds: float) -> str:
    """`10s`, `1m20s`, as Go prints a time.Duration."""
    minutes, rest = divmod(seconds, 60)
    return (f"{int(minutes)}m" if minutes else "") + f"{rest:g}s"
