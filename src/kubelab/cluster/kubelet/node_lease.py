"""The node's heartbeat: a Lease in kube-node-lease, renewed every quarter of its duration.

Upstream: component-helpers' apimachinery/lease/controller.go, as pkg/kubelet sets it up.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, APIError, Conflict, NotFound
from kubelab.cluster.resources import LEASES

log = logging.getLogger(__name__)

NAMESPACE = "kube-node-lease"
RENEW_FRACTION = 0.25
RETRY_SECONDS = 0.2


def micro_time(moment: datetime) -> str:
    """metav1.MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class NodeLease:
    """`owner` is the Node object: the lease goes with it."""

    def __init__(self, client: APIClient, node_name: str, duration: int, clock: Clock) -> None:
        self._client, self._name, self._duration, self._clock = client, node_name, duration, clock
        self._lease: dict[str, Any] | None = None

    async def run(self, node: dict[str, Any]) -> None:
        """Renew for ever; a renewal that fails is tried again soon."""
        while True:
            try:
                await self._renew(node)
                await self._clock.sleep(self._duration * RENEW_FRACTION)
            except APIError as error:
                log.warning("lease not renewed, trying again: %s", error)
                await self._clock.sleep(RETRY_SECONDS)

    async def _renew(self, node: dict[str, Any]) -> None:
        lease = self._lease or await self._read()
        if lease is None:
            self._lease = await self._client.create(LEASES, self._new(node), NAMESPACE)
            return
        renewed = {**lease, "spec": {**lease["spec"], **self._spec()}}
        try:
            self._lease = await self._client.update(LEASES, renewed)
        except (Conflict, NotFound):
            self._lease = None  # read it again
            raise

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._client.get(LEASES, self._name, NAMESPACE)
        except NotFound:
            return None

    def _spec(self) -> dict[str, Any]:
        return {
            "holderIdentity": self._name,
            "leaseDurationSeconds": self._duration,
            "renewTime": micro_time(self._clock.now()),
        }

    def _new(self, node: dict[str, Any]) -> dict[str, Any]:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._name, "uid": node["metadata"]["uid"]}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": NAMESPACE, "ownerReferences": [owner]},
            "spec": self._spec(),
        }
