"""The ConfigMaps and Secrets that pods on this node refer to, read from the API when they are needed.

Upstream: pkg/kubelet/configmap and secret with `configMapAndSecretChangeDetectionStrategy: Get`.
"""

from __future__ import annotations

from typing import Any, Protocol

from kubelab.clock import Clock
from kubelab.cluster.client import APIClient, NotFound
from kubelab.cluster.kubelet.tokens import TokenManager
from kubelab.cluster.resources import CONFIGMAPS, SECRETS

KINDS = {"configmap": CONFIGMAPS, "secret": SECRETS}


class ObjectSource(Protocol):
    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None where there is none. `kind` is "configmap" or "secret"."""

    async def token(self, namespace: str, account: str, source: dict[str, Any], pod: dict[str, Any]) -> str:
        """A token for a service account, bound to `pod`; `source` is a `serviceAccountToken` projection."""


class APIObjects:
    def __init__(self, client: APIClient, clock: Clock) -> None:
        self._client, self._tokens = client, TokenManager(client, clock)

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(KINDS[kind], name, namespace)
        except NotFound:
            return None

    async def token(self, namespace: str, account: str, source: dict[str, Any], pod: dict[str, Any]) -> str:
        return await self._tokens.get(namespace, account, source, pod)
