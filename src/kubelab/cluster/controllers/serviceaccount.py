"""The service account `default` in every namespace.

Upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from kubelab.cluster.client import AlreadyExists
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Key
from kubelab.cluster.resources import NAMESPACES, SERVICEACCOUNTS


class ServiceAccountController(Controller):
    """Keys are ("", namespace)."""

    name = "service-account-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.namespaces = context.informers.of(NAMESPACES)
        self.accounts = context.informers.of(SERVICEACCOUNTS)
        self.namespaces.add_handler(self.enqueue, lambda old, new: self.enqueue(new))
        self.accounts.add_handler(on_delete=self._account_deleted)

    def _account_deleted(self, account: Object) -> None:
        self.queue.add(("", account["metadata"]["namespace"]))

    async def sync(self, key: Key) -> None:
        namespace = self.namespaces.get(*key)
        if namespace is None or namespace.get("status", {}).get("phase") == "Terminating":
            return
        if self.accounts.get(key[1], "default") is not None:
            return
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": key[1]},
        }
        try:
            await self.client.create(SERVICEACCOUNTS, account)
        except AlreadyExists:
            return  # the cache is behind
