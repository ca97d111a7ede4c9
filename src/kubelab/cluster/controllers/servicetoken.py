"""Secrets of the type `kubernetes.io/service-account-token`: filled with a token that lives as long as they do.

Upstream: pkg/controller/serviceaccount/tokens_controller.go. The API server makes the token, bound to the secret, so
that it ends with it; upstream's controller signs such tokens itself.
"""

from __future__ import annotations

import base64

from kubelab.cluster.client import NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.resources import SECRETS, SERVICEACCOUNTS

TYPE = "kubernetes.io/service-account-token"
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
FOREVER = 1 << 32  # seconds, the longest that a token can be asked for


class ServiceAccountTokenController(Controller):
    """Keys are secrets."""

    name = "serviceaccount-token-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.secrets, self.accounts = context.informers.of(SECRETS), context.informers.of(SERVICEACCOUNTS)
        self.secrets.add_index("account", lambda secret: [_account_of(secret)] if _is_token(secret) else [])
        self.secrets.add_handler(self._look, lambda old, new: self._look(new))
        self.accounts.add_handler(self._account_changed, None, self._account_changed)

    def _look(self, secret: Object) -> None:
        if _is_token(secret):
            self.enqueue(secret)

    def _account_changed(self, account: Object) -> None:
        for secret in self.secrets.by_index("account", account["metadata"]["name"]):
            if secret["metadata"]["namespace"] == account["metadata"]["namespace"]:
                self.enqueue(secret)

    async def sync(self, key: Key) -> None:
        secret = self.secrets.get(*key)
        if secret is None or not _is_token(secret):
            return
        account = await self._live_account(key[0], secret)
        if account is None:
            await self._delete(key, secret)
            return
        metadata, data = secret["metadata"], dict(secret.get("data") or {})
        uid = account["metadata"]["uid"]
        certificate = _encoded(self.client.ca_pem or "")
        if not data.get("token"):
            data["token"] = _encoded(await self._make_token(key[0], account, secret))
        data |= {"namespace": _encoded(key[0]), **({"ca.crt": certificate} if certificate else {})}
        annotations = {**(metadata.get("annotations") or {}), UID: uid}
        if data != secret.get("data") or annotations != metadata.get("annotations"):
            new = {**secret, "metadata": {**metadata, "annotations": annotations}, "data": data}
            await self.client.update(SECRETS, new)

    async def _live_account(self, namespace: str, secret: Object) -> Object | None:
        """The account that the secret names; asked afresh where the cache does not have it."""
        name = _account_of(secret)
        account = self.accounts.get(namespace, name)
        if account is None:
            try:
                account = await self.client.get(SERVICEACCOUNTS, name, namespace)
            except NotFound:
                return None
        meant = secret["metadata"]["annotations"].get(UID)
        return account if meant in (None, "", account["metadata"]["uid"]) else None

    async def _make_token(self, namespace: str, account: Object, secret: Object) -> str:
        identity = secret["metadata"]
        bound = {"apiVersion": "v1", "kind": "Secret", "name": identity["name"], "uid": identity["uid"]}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"boundObjectRef": bound, "expirationSeconds": FOREVER},
        }
        name = account["metadata"]["name"]
        answer = await self.client.create_subresource(SERVICEACCOUNTS, name, "token", request, namespace)
        return answer["status"]["token"]

    async def _delete(self, key: Key, secret: Object) -> None:
        """Its account is gone."""
        try:
            await self.client.delete(SECRETS, key[1], key[0], uid=secret["metadata"]["uid"])
        except NotFound:
            return


def _is_token(secret: Object) -> bool:
    return secret.get("type") == TYPE and bool(_account_of(secret))


def _account_of(secret: Object) -> str:
    return (secret["metadata"].get("annotations") or {}).get(NAME, "")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
