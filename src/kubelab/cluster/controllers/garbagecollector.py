"""Garbage collection by owner references: what nobody owns any more goes; foreground and orphan deletions are
finished.

Upstream: pkg/controller/garbagecollector (garbagecollector.go, graph_builder.go). The graph is the informers' caches
with an index of dependents by their owner's UID; a decision to delete is always made on fresh objects, under their
UID and version.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kubelab.cluster.client import AlreadyExists, Conflict, NotFound
from kubelab.cluster.controllers.controller import Context, Controller, Object
from kubelab.cluster.informer import Informer, Key
from kubelab.cluster.pods import is_terminating
from kubelab.cluster.resources import EVENTS, RESOURCES, Resource, by_kind

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
Coordinates = tuple[str, str, str, str, str]  # apiVersion, kind, name, UID, namespace
ABSENT_OWNERS = 500  # remembered, so that many dependents of one gone owner cost one look


@dataclass
class Owners:
    """An object's owner references by what became of the owner."""

    solid: list[Object] = field(default_factory=list)
    dangling: list[Object] = field(default_factory=list)  # it is gone
    waiting: list[Object] = field(default_factory=list)  # it waits for its dependents to go first


class GarbageCollector(Controller):
    """Keys are (UID, ""): every object of every kind that can be deleted, but events."""

    name = "garbage-collector-controller"
    workers = 20

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._kinds: dict[str, Resource] = {}  # UID: where to find the object
        self._names: dict[str, Key] = {}
        self._informers: list[Informer] = []
        self._absent: dict[Coordinates, None] = {}
        self.recorder = context.recorder(self.name)
        for resource in RESOURCES:
            if resource is not EVENTS and {"delete", "list", "watch"} <= set(resource.verbs):
                self._watch(context.informers.of(resource), resource)

    def _watch(self, informer: Informer, resource: Resource) -> None:
        informer.add_index("owner", lambda obj: [r["uid"] for r in obj["metadata"].get("ownerReferences") or ()])
        informer.add_handler(
            lambda obj: self._seen(resource, None, obj),
            lambda old, new: self._seen(resource, old, new),
            self._gone,
        )
        self._informers.append(informer)

    # -- the graph

    def _seen(self, resource: Resource, old: Object | None, obj: Object) -> None:
        metadata = obj["metadata"]
        if old is not None and old["metadata"]["uid"] != metadata["uid"]:
            self._gone(old)
        uid = metadata["uid"]
        self._kinds[uid] = resource
        self._names[uid] = (metadata.get("namespace") or "", metadata["name"])
        references = [r for r in metadata.get("ownerReferences") or () if self._is_doubtful(obj, r)]
        to_finish = is_terminating(obj) and not {FOREGROUND, ORPHAN}.isdisjoint(metadata.get("finalizers") or ())
        if to_finish or references:
            self.queue.add((uid, ""))
        if old is not None:
            for reference in old["metadata"].get("ownerReferences") or ():
                self._wake_waiting_owner(reference["uid"])

    def _is_doubtful(self, dependent: Object, reference: Object) -> bool:
        """The owner is not known, or not as the reference says: then the API has to be asked.

        An owner in another namespace is nobody's owner here, and that is told.
        """
        uid = reference["uid"]
        owner = self._kinds.get(uid)
        if owner is None:
            return True
        namespace, name = self._names[uid]
        own = dependent["metadata"].get("namespace") or ""
        if owner.namespaced and namespace != own:
            which = f"[{reference['apiVersion']}/{reference['kind']}, namespace: {own}, name: {reference['name']}"
            message = f'ownerRef {which}, uid: {uid}] does not exist in namespace "{own}"'
            self.recorder.event(dependent, "Warning", "OwnerRefInvalidNamespace", message)
            return True
        said = (reference["apiVersion"], reference["kind"], reference["name"])
        return said != (owner.api_version, owner.kind, name)

    def _gone(self, obj: Object) -> None:
        metadata = obj["metadata"]
        uid = metadata["uid"]
        self._kinds.pop(uid, None)
        self._names.pop(uid, None)
        identity = (obj["apiVersion"], obj["kind"], metadata["name"], uid, metadata.get("namespace") or "")
        self._remember_absent(identity)
        for dependent in self._dependents(uid):
            self.queue.add((dependent["metadata"]["uid"], ""))
        for reference in obj["metadata"].get("ownerReferences") or ():
            self._wake_waiting_owner(reference["uid"])

    def _wake_waiting_owner(self, uid: str) -> None:
        owner = self._cached(uid)
        if owner is not None and _deletes_dependents(owner):
            self.queue.add((uid, ""))

    def _cached(self, uid: str) -> Object | None:
        resource = self._kinds.get(uid)
        return self.context.informers.of(resource).get(*self._names[uid]) if resource else None

    def _dependents(self, uid: str) -> list[Object]:
        return [obj for informer in self._informers for obj in informer.by_index("owner", uid)]

    def _remember_absent(self, owner: Coordinates) -> None:
        self._absent[owner] = None
        if len(self._absent) > ABSENT_OWNERS:
            del self._absent[next(iter(self._absent))]

    # -- deciding

    async def sync(self, key: Key) -> None:
        """Decide about one object, on its fresh state."""
        uid = key[0]
        resource = self._kinds.get(uid)
        if resource is None:
            return
        namespace, name = self._names[uid]
        try:
            obj = await self.client.get(resource, name, namespace)
        except NotFound:
            return
        if obj["metadata"]["uid"] != uid:
            return
        try:
            await self._attempt(resource, obj)
        except (NotFound, Conflict, AlreadyExists):
            self.queue.add_rate_limited(key)  # it changed under our hands: decide again

    async def _attempt(self, resource: Resource, obj: Object) -> None:
        finalizers = obj["metadata"].get("finalizers") or ()
        if is_terminating(obj):
            if ORPHAN in finalizers:
                await self._orphan_dependents(resource, obj)
            elif FOREGROUND in finalizers:
                await self._delete_dependents_first(resource, obj)
            return
        owners = await self._classify(obj)
        if owners is None:
            return
        if owners.solid:
            await self._drop_references(resource, obj, owners.dangling + owners.waiting)
        elif owners.waiting and (dependents := self._dependents(obj["metadata"]["uid"])):
            if any(map(_deletes_dependents, dependents)):
                obj = await self._unblock_owners(resource, obj)
            await self._delete(resource, obj, "Foreground")
        elif owners.dangling or owners.waiting:
            policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
            await self._delete(resource, obj, policy)

    async def _classify(self, obj: Object) -> Owners | None:
        """None for an object that cannot be judged: one of no namespace that names an owner of some namespace."""
        owners = Owners()
        for reference in obj["metadata"].get("ownerReferences") or ():
            kind = by_kind(reference["apiVersion"], reference["kind"])
            if kind is not None and kind.namespaced and not obj["metadata"].get("namespace"):
                return None
            owner = await self._owner(reference, obj["metadata"].get("namespace"))
            if owner is None:
                owners.dangling.append(reference)
            elif _deletes_dependents(owner) and reference.get("blockOwnerDeletion"):
                owners.waiting.append(reference)
            else:
                owners.solid.append(reference)
        return owners

    async def _owner(self, reference: Object, namespace: str | None) -> Object | None:
        """The live owner, or None where it is gone. A kind that is not served cannot be judged: it counts as there."""
        resource = by_kind(reference["apiVersion"], reference["kind"])
        if resource is None:
            return reference | {"metadata": {}}
        where = (namespace or "") if resource.namespaced else ""
        identity = (reference["apiVersion"], reference["kind"], reference["name"], reference["uid"], where)
        if identity in self._absent:
            return None
        try:
            owner = await self.client.get(resource, reference["name"], namespace)
        except NotFound:
            owner = None
        if owner is None or owner["metadata"]["uid"] != reference["uid"]:
            self._remember_absent(identity)
            return None
        return owner

    # -- doing

    async def _delete(self, resource: Resource, obj: Object, policy: str) -> None:
        metadata = obj["metadata"]
        await self.client.delete(
            resource,
            metadata["name"],
            metadata.get("namespace"),
            propagation_policy=policy,
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
        )

    async def _drop_references(self, resource: Resource, obj: Object, references: list[Object]) -> None:
        if references:
            gone = {reference["uid"] for reference in references}
            kept = [r for r in obj["metadata"]["ownerReferences"] if r["uid"] not in gone]
            await self._patch(resource, obj, {"ownerReferences": kept})

    async def _unblock_owners(self, resource: Resource, obj: Object) -> Object:
        """An owner waits for it, and one of its dependents waits, too: maybe for that owner. Let the circle open."""
        references = [{**r, "blockOwnerDeletion": False} for r in obj["metadata"]["ownerReferences"]]
        return await self._patch(resource, obj, {"ownerReferences": references})

    async def _orphan_dependents(self, resource: Resource, obj: Object) -> None:
        """Cut every dependent loose, then let the owner go."""
        for dependent in self._dependents(obj["metadata"]["uid"]):
            kind = self._kinds.get(dependent["metadata"]["uid"])
            if kind is not None:
                await self._drop_references(kind, dependent, [{"uid": obj["metadata"]["uid"]}])
        await self._remove_finalizer(resource, obj, ORPHAN)

    async def _delete_dependents_first(self, resource: Resource, obj: Object) -> None:
        """Foreground: let the owner go once no dependent blocks it; until then see to it that they go."""
        uid = obj["metadata"]["uid"]
        blocking = [dependent for dependent in self._dependents(uid) if _blocks(dependent, uid)]
        if not blocking:
            await self._remove_finalizer(resource, obj, FOREGROUND)
        for dependent in self._dependents(uid):
            if not is_terminating(dependent):
                self.queue.add((dependent["metadata"]["uid"], ""))

    async def _remove_finalizer(self, resource: Resource, obj: Object, finalizer: str) -> None:
        kept = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
        await self._patch(resource, obj, {"finalizers": kept})

    async def _patch(self, resource: Resource, obj: Object, metadata: Object) -> Object:
        """A merge patch that holds only for this object at this version."""
        identity = obj["metadata"]
        fixed = {"uid": identity["uid"], "resourceVersion": identity["resourceVersion"]}
        patch = {"metadata": {**metadata, **fixed}}
        return await self.client.patch(resource, identity["name"], patch, identity.get("namespace"), type="merge")


def _deletes_dependents(owner: Object) -> bool:
    metadata = owner["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FOREGROUND in (metadata.get("finalizers") or ())


def _blocks(dependent: Object, owner: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(r["uid"] == owner and r.get("blockOwnerDeletion") for r in references)
