"""ResourceQuota: counts what a namespace uses, and again whenever something in it has gone or changed.

Upstream: pkg/controller/resourcequota/{resource_quota_controller,resource_quota_monitor}.go. Admission charges what is
made; this controller gives back what is deleted, and corrects.
"""

from __future__ import annotations

from kubelab.cluster import quota as counting
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Informer, Key
from kubelab.cluster.resources import EVENTS, PODS, RESOURCEQUOTAS, RESOURCES, SERVICES, Resource


class ResourceQuotaController(Controller):
    """Keys are (namespace, quota)."""

    name = "resourcequota-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.quotas = context.informers.of(RESOURCEQUOTAS)
        self.quotas.add_handler(self.enqueue, self._quota_changed)
        self._informers: dict[Resource, Informer] = {}
        for resource in RESOURCES:
            if resource.namespaced and resource != EVENTS and {"delete", "list", "watch"} <= set(resource.verbs):
                self._watch(resource, context.informers.of(resource))

    def _watch(self, resource: Resource, informer: Informer) -> None:
        self._informers[resource] = informer
        informer.add_handler(
            on_update=lambda old, new: self._changed(resource, old, new),
            on_delete=lambda obj: self._count_again(resource, obj),
        )

    def _quota_changed(self, old: Object, new: Object) -> None:
        if old["spec"] != new["spec"] or (new.get("status") or {}).get("hard") != new["spec"].get("hard"):
            self.enqueue(new)

    def _changed(self, resource: Resource, old: Object, new: Object) -> None:
        """Of updates only those matter that free something: a pod that has finished, a service of another type."""
        if resource in (PODS, SERVICES) and counting.usage(resource, old) != counting.usage(resource, new):
            self._count_again(resource, new)

    def _count_again(self, resource: Resource, obj: Object) -> None:
        for quota in self.quotas.list(obj["metadata"]["namespace"]):
            if any(counting.counts(resource, name) for name in quota["spec"].get("hard") or {}):
                self.enqueue(quota)

    async def sync(self, key: Key) -> None:
        quota = self.quotas.get(*key)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        status = {"hard": hard, "used": self._used(quota, key[0])}
        if quota.get("status") == status or (not hard and quota.get("status") == {}):
            return
        await self.client.update(RESOURCEQUOTAS, {**quota, "status": status}, "status")

    def _used(self, quota: Object, namespace: str) -> counting.Usage:
        hard = quota["spec"].get("hard") or {}
        usages = [
            counting.usage(resource, obj)
            for resource, informer in self._informers.items()
            if any(counting.counts(resource, name) for name in hard)
            for obj in informer.list(namespace)
            if counting.covers(quota, resource, obj)
        ]
        found = counting.total(usages)
        return {name: found.get(name, "0") for name in hard}
