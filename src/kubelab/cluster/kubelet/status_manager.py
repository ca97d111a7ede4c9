"""Tells the API what pods are like, and removes a pod from it when its end is complete.

Upstream: pkg/kubelet/status/status_manager.go. The newest status of each pod is kept here; one task a pod writes it, so
that a later status never comes before an earlier one, and several changes in a row become one write.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, Conflict, NotFound
from kubelab.cluster.events import timestamp
from kubelab.cluster.kubelet import conditions, podutil
from kubelab.cluster.kubelet.podutil import TERMINAL_PHASES, Pod
from kubelab.cluster.kubelet.status_patch import status_patch
from kubelab.cluster.resources import PODS

log = logging.getLogger(__name__)

Status = dict[str, Any]
RETRY_SECONDS = 1.0
LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
}


class StatusManager:
    def __init__(self, client: APIClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._pods: dict[str, Pod] = {}
        self._statuses: dict[str, Status] = {}
        self._told: dict[str, Status] = {}  # as the API has it, after our last write
        self._finished: set[str] = set()  # pods whose containers are all gone
        self._writers: dict[str, asyncio.Task[None]] = {}

    def get(self, pod_uid: str) -> Status | None:
        """The newest status, told or not. Shared: read only."""
        return self._statuses.get(pod_uid)

    def set(self, pod: Pod, status: Status) -> None:
        """Take over a status that was made for the pod as a whole."""
        uid = podutil.uid(pod)
        old = self._statuses.get(uid) or pod.get("status", {})
        status = self._hold_back(status, old) if status["phase"] in TERMINAL_PHASES else status
        self._add_times(status, old)
        self._pods[uid] = pod
        changed = status != self._statuses.get(uid)
        self._statuses[uid] = status
        if changed or podutil.is_deleting(pod):
            self._write_soon(uid)

    def set_container(self, pod_uid: str, container_id: str, **facts: bool) -> None:
        """Set `ready` or `started` of one container as a probe found it, and the conditions that follow from it."""
        status = copy.deepcopy(self._statuses.get(pod_uid))
        if status is None:
            return
        everything = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        found = next((s for s in everything if s.get("containerID") == container_id), None)
        if found is None or all(found.get(key) == value for key, value in facts.items()):
            return
        found.update(facts)
        pod = self._pods[pod_uid]
        renewed = [f(pod, status) for f in (conditions.initialized, conditions.ready, conditions.containers_ready)]
        by_type = {c["type"]: c for c in renewed}
        status["conditions"] = [by_type.pop(c["type"], c) for c in status["conditions"]] + list(by_type.values())
        self.set(pod, status)

    def terminate(self, pod: Pod, status: Status) -> None:
        """The pod's last status: nothing of it runs. A pod that is being deleted goes from the API after it."""
        for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
            if "running" in container["state"]:
                container["state"] = {"terminated": dict(LOST)}
        if status["phase"] not in TERMINAL_PHASES:
            status["phase"] = "Failed"
        self._finished.add(podutil.uid(pod))
        self.set(pod, status)
        self._write_soon(podutil.uid(pod))

    def forget(self, pod_uid: str) -> None:
        """The pod is gone from the API."""
        for table in (self._pods, self._statuses, self._told):
            table.pop(pod_uid, None)
        self._finished.discard(pod_uid)

    async def stop(self) -> None:
        writers = list(self._writers.values())
        for task in writers:
            task.cancel()
        await asyncio.gather(*writers, return_exceptions=True)

    # -- what a status must look like

    def _hold_back(self, status: Status, old: Status) -> Status:
        """A pod is not told as finished while one of its containers runs (mergePodStatus)."""
        everything = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        if not any("running" in s["state"] for s in everything):
            return status
        status = {**status, "phase": old.get("phase", "Running")}
        for field in ("reason", "message"):
            status.pop(field, None)
        return status

    def _add_times(self, status: Status, old: Status) -> None:
        now = timestamp(self._clock.now())
        status["startTime"] = old.get("startTime") or now
        before = old.get("conditions", [])
        for condition in status["conditions"]:
            known = conditions.find(before, condition["type"])
            if condition["type"] not in conditions.OWNED:
                continue
            same = known is not None and known["status"] == condition["status"]
            condition["lastTransitionTime"] = known["lastTransitionTime"] if same else now

    # -- writing

    def _write_soon(self, uid: str) -> None:
        if uid not in self._writers:
            self._writers[uid] = asyncio.create_task(self._write_all(uid), name=f"status/{uid}")

    async def _write_all(self, uid: str) -> None:
        try:
            await self._write(uid)
        finally:
            # In the same step as the decision that nothing is left to write: a done callback would run one turn of the
            # event loop later, and a status that is set in between would find a writer that no longer writes.
            del self._writers[uid]

    async def _write(self, uid: str) -> None:
        """Write until the API has the newest status, and delete the pod there where that is due."""
        while (status := self._statuses.get(uid)) is not None:
            try:
                await self._tell(uid, status)
                if self._statuses.get(uid) is status:
                    await self._delete_finished(uid)
                    return
            except (NotFound, Conflict) as error:
                log.debug("status of %s not written: %s", uid, error)  # the pod is gone, or another has its name
                return
            except APIError as error:
                log.warning("status of %s not written, trying again: %s", uid, error)
                await self._clock.sleep(RETRY_SECONDS)

    async def _tell(self, uid: str, status: Status) -> None:
        pod = self._pods[uid]
        told = self._told.get(uid) or pod.get("status", {})
        patch = status_patch(told, status)
        if patch:
            body = {"metadata": {"uid": uid}, "status": patch}
            await self._client.patch(PODS, podutil.name(pod), body, podutil.namespace(pod), subresource="status")
        self._told[uid] = status

    async def _delete_finished(self, uid: str) -> None:
        pod = self._pods.get(uid)
        if pod is None or uid not in self._finished or not podutil.is_deleting(pod):
            return
        await self._client.delete(PODS, podutil.name(pod), podutil.namespace(pod), grace_period_seconds=0, uid=uid)
