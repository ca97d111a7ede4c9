"""The ConfigMaps and Secrets that pods on this node refer to, read from the API when they are needed.

Upstream: pkg/kubelet/configmap and secret with `configMapAndSecretChangeDetectionStrategy: Get`.
"""

from __future__ import annotations

from typing import Any, Protocol

from kubelab.cluster.client import APIClient, NotFound
from kubelab.cluster.resources import CONFIGMAPS, SECRETS, SERVICEACCOUNTS

KINDS = {"configmap": CONFIGMAPS, "secret": SECRETS}
TOKEN_SECONDS = 3607  # pkg/serviceaccount: what the admission plug-in asks for


class ObjectSource(Protocol):
    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        """The object, or None where there is none. `kind` is "configmap" or "secret"."""

    async def token(self, namespace: str, account: str, source: dict[str, Any], pod: dict[str, Any]) -> str:
        """A token for a service account, bound to `pod`; `source` is a `serviceAccountToken` projection."""


class APIObjects:
    def __init__(self, client: APIClient) -> None:
        self._client = client

    async def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(KINDS[kind], name, namespace)
        except NotFound:
            return None

    async def token(self, namespace: str, account: str, source: dict[str, Any], pod: dict[str, Any]) -> str:
        audience = source.get("audience")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": source.get("expirationSeconds", TOKEN_SECONDS),
                "boundObjectRef": bound,
            },
        }
        answer = await self._client.create_subresource(SERVICEACCOUNTS, account, "token", request, namespace)
        return answer["status"]["token"]
