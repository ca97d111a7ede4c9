"""The tokens of pods' service accounts, kept until they are due for renewal.

Upstream: pkg/kubelet/token/token_manager.go: a token is asked for anew at 80 % of its lifetime, or after a day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from kubelab.clock import Clock
from kubelab.cluster import times
from kubelab.cluster.client import APIClient, APIError
from kubelab.cluster.resources import SERVICEACCOUNTS

DEFAULT_SECONDS = 3600
LONGEST = timedelta(hours=24)
Key = tuple[str, str, str, int]  # pod UID, service account, audience, seconds


class TokenManager:
    def __init__(self, client: APIClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._tokens: dict[Key, tuple[str, datetime, datetime]] = {}  # the token, when to renew it, when it ends

    async def get(self, namespace: str, account: str, source: dict[str, Any], pod: dict[str, Any]) -> str:
        """The token for a `serviceAccountToken` projection of `pod`. APIError where none can be had."""
        seconds = source.get("expirationSeconds", DEFAULT_SECONDS)
        key = (pod["metadata"]["uid"], account, source.get("audience", ""), seconds)
        now = self._clock.now()
        token, renew, end = self._tokens.get(key, ("", now, now))
        if now < renew:
            return token
        try:
            return await self._request(key, namespace, pod, now)
        except APIError:
            if now < end:
                return token  # it will do until the API server answers again
            raise

    async def _request(self, key: Key, namespace: str, pod: dict[str, Any], now: datetime) -> str:
        _, account, audience, seconds = key
        bound = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        audiences = [audience] if audience else []
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
        }
        answer = await self._client.create_subresource(SERVICEACCOUNTS, account, "token", request, namespace)
        status = answer["status"]
        end = times.parse(status["expirationTimestamp"])
        self._tokens = {known: entry for known, entry in self._tokens.items() if now < entry[2]}
        self._tokens[key] = (status["token"], now + min((end - now) * 0.8, LONGEST), end)
        return status["token"]
