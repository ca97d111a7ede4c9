"""A controller whose objects own others: what happens to those wakes their owner.

Upstream: the handlers that replicaset, daemon, job and deployment repeat in pkg/controller (addPod, updatePod,
deletePod, resolveControllerRef).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from kubelab.cluster.client import Conflict, NotFound
from kubelab.cluster.controllers.controller import Context, Controller
from kubelab.cluster.controllers.expectations import Expectations
from kubelab.cluster.informer import Key, key_of
from kubelab.cluster.pods import controller_of, is_ready, is_terminating
from kubelab.cluster.resources import PODS, Resource

Object = dict[str, Any]


class OwnerController(Controller):
    """A subclass names the resource of the owners, and says how their selectors select."""

    resource: ClassVar[Resource]

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.owners = context.informers.of(self.resource)
        self.owners.add_handler(self.enqueue, self._owner_updated, self._owner_deleted)

    @staticmethod
    @abstractmethod
    def selects(owner: Object, labels: dict[str, str]) -> bool:
        """Whether the owner's selector selects an object with these labels."""

    def wake(self, owner: Object) -> None:
        """Something that it owns has changed."""
        self.enqueue(owner)

    def forget(self, key: Key) -> None:
        """The owner is gone: what was remembered of it goes, too."""

    def _owner_updated(self, old: Object, new: Object) -> None:
        if old["metadata"]["uid"] != new["metadata"]["uid"]:
            self._owner_deleted(old)
        self.enqueue(new)

    def _owner_deleted(self, owner: Object) -> None:
        self.forget(key_of(owner))
        self.enqueue(owner)

    # -- what is owned

    def owner_of(self, obj: Object) -> Object | None:
        """The owner of our kind that the controller reference means: the UID has to be the same."""
        reference = controller_of(obj)
        if reference is None or reference["kind"] != self.resource.kind:
            return None
        owner = self.owners.get(obj["metadata"]["namespace"], reference["name"])
        return owner if owner is not None and owner["metadata"]["uid"] == reference["uid"] else None

    def owned_changed(self, obj: Object) -> None:
        """Wake its owner, or where it has no controller everybody who selects it and may adopt it."""
        if controller_of(obj) is not None:
            owner = self.owner_of(obj)
            if owner is not None:
                self.wake(owner)
            return
        for owner in self.owners.list(obj["metadata"]["namespace"]):
            if self.selects(owner, labels_of(obj)):
                self.wake(owner)

    def owned_updated(self, old: Object, new: Object) -> None:
        """It changed, and may have changed hands; of an orphan only the labels matter."""
        if controller_of(old) != controller_of(new):
            owner = self.owner_of(old)
            if owner is not None:
                self.wake(owner)
        elif controller_of(new) is None and labels_of(old) == labels_of(new):
            return
        self.owned_changed(new)

    async def write_status(self, owner: Object, status: Object) -> None:
        """Write the status where it differs; once more over a fresh object where another writer came first."""
        if owner.get("status") == status:
            return
        try:
            await self.client.update(self.resource, {**owner, "status": status}, "status")
        except NotFound:
            return
        except Conflict:
            metadata = owner["metadata"]
            fresh = await self.client.get(self.resource, metadata["name"], metadata["namespace"])
            if fresh["metadata"]["uid"] == metadata["uid"]:
                await self.client.update(self.resource, {**fresh, "status": status}, "status")


class PodOwnerController(OwnerController):
    """Its objects own pods: the pods that come and go are what it has expected of its own doing."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.pods = context.informers.of(PODS)
        self.expectations = Expectations(context.clock)
        self.pods.add_handler(self._pod_added, self._pod_updated, self._pod_deleted)

    def forget(self, key: Key) -> None:
        self.expectations.forget(key)

    def _pod_added(self, pod: Object) -> None:
        if is_terminating(pod):
            self._pod_leaves(pod)
            return
        owner = self.owner_of(pod)
        if owner is not None:
            self.expectations.creation_observed(key_of(owner))
        self.owned_changed(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if is_terminating(new):
            self._pod_leaves(new)
            return
        self.owned_updated(old, new)
        owner = self.owner_of(new)
        min_ready = owner["spec"].get("minReadySeconds", 0) if owner is not None else 0
        if min_ready and is_ready(new) and not is_ready(old):
            self.queue.add_after(key_of(owner), min_ready + 1)

    def _pod_deleted(self, pod: Object) -> None:
        self._pod_leaves(pod)

    def _pod_leaves(self, pod: Object) -> None:
        """It is gone, or on its way: for its owner that is the same."""
        owner = self.owner_of(pod)
        if owner is not None:
            self.expectations.deletion_observed(key_of(owner), pod["metadata"]["uid"])
            self.wake(owner)


def labels_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}
