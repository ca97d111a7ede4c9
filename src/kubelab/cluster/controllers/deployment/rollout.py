"""One round of work on a deployment: find or make its new ReplicaSet, and scale ReplicaSets.

Upstream: pkg/controller/deployment/sync.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.clock import Clock
from kubelab.cluster.client import AlreadyExists, APIClient, APIError, NotFound
from kubelab.cluster.controllers.deployment import replicasets, status, strategy
from kubelab.cluster.controllers.deployment.replicasets import MAX_REPLICAS, REVISION
from kubelab.cluster.controllers.deployment.strategy import size
from kubelab.cluster.events import EventRecorder
from kubelab.cluster.pods import condition, controller_of
from kubelab.cluster.resources import DEPLOYMENTS, REPLICASETS

Object = dict[str, Any]


class Rollout:
    """The deployment and its ReplicaSets as this round sees them; what it changes it sees changed.

    `deployment` is this round's own copy. `new` is None until there is a ReplicaSet of the deployment's template.
    """

    def __init__(
        self, client: APIClient, recorder: EventRecorder, clock: Clock, deployment: Object, sets: list[Object]
    ) -> None:
        self.client, self.recorder, self.clock = client, recorder, clock
        self.deployment = deployment
        self.new = replicasets.find_new(deployment, sets)
        others = (s for s in sets if self.new is None or s["metadata"]["uid"] != self.new["metadata"]["uid"])
        self.old = sorted(others, key=replicasets.age)

    @property
    def all(self) -> list[Object]:
        return [*self.old, self.new] if self.new is not None else list(self.old)

    @property
    def wanted(self) -> int:
        return self.deployment["spec"]["replicas"]

    @property
    def active_old(self) -> list[Object]:
        return [old for old in self.old if size(old) > 0]

    @property
    def is_complete(self) -> bool:
        """As the deployment's status says so far."""
        return status.is_complete(self.deployment, self.deployment.get("status", {}))

    # -- the new ReplicaSet and its revision

    async def ensure_new(self, *, create: bool) -> None:
        """Bring the new ReplicaSet's annotations up to date, or create it."""
        next_revision = max((replicasets.revision(old) for old in self.old), default=0) + 1
        if self.new is None:
            if create:
                await self._create(next_revision)
            return
        wanted = replicasets.annotations_of_existing(self.deployment, self.new, next_revision)
        min_ready = self.deployment["spec"].get("minReadySeconds", 0)
        if wanted != replicasets.annotations(self.new) or self.new["spec"].get("minReadySeconds", 0) != min_ready:
            metadata, spec = self.new["metadata"], self.new["spec"]
            changed = {
                **self.new,
                "metadata": {**metadata, "annotations": wanted},
                "spec": {**spec, "minReadySeconds": min_ready},
            }
            self.new = await self.client.update(REPLICASETS, changed)
        await self._note_revision()
        if strategy.deadline(self.deployment) is not None and condition(self.deployment, "Progressing") is None:
            message = f'Found new replica set "{self.new["metadata"]["name"]}"'
            await self.write_condition("True", status.NEW_SET_FOUND, message)

    async def _create(self, next_revision: int) -> None:
        made = replicasets.make_new(self.deployment, next_revision, 0)
        made["spec"]["replicas"] = strategy.new_replicas(self.deployment, self.all, None)
        try:
            self.new = await self.client.create(REPLICASETS, made)
        except AlreadyExists:
            await self._resolve_collision(made)
        except APIError as error:
            if not error.has_cause("NamespaceTerminating"):
                message = f'Failed to create new replica set "{made["metadata"]["name"]}": {error}'
                await self.write_condition("False", status.CREATE_FAILED, message)
                self.recorder.event(self.deployment, "Warning", status.CREATE_FAILED, message)
            raise
        else:
            await self._note_revision()
            if size(self.new):
                self._tell_scaled(self.new, "up", 0, size(self.new))
            message = f'Created new replica set "{self.new["metadata"]["name"]}"'
            await self.write_condition("True", status.NEW_SET_CREATED, message)

    async def _resolve_collision(self, made: Object) -> None:
        """Our own ReplicaSet that the cache does not show yet, or another template of the same hash: then count up."""
        metadata = made["metadata"]
        existing = await self.client.get(REPLICASETS, metadata["name"], metadata["namespace"])
        owner = controller_of(existing)
        ours = owner is not None and owner["uid"] == self.deployment["metadata"]["uid"]
        if ours and replicasets.find_new(self.deployment, [existing]):
            self.new = existing
            return
        current = self.deployment.get("status", {})
        counted = {**current, "collisionCount": current.get("collisionCount", 0) + 1}
        await self.write_status(counted)
        raise AlreadyExists({"message": f'hash collision on "{metadata["name"]}", trying another name'})

    async def _note_revision(self) -> None:
        """The deployment carries its new ReplicaSet's revision."""
        number = replicasets.annotations(self.new).get(REVISION)
        if replicasets.annotations(self.deployment).get(REVISION) == number:
            return
        metadata = self.deployment["metadata"]
        patch = {"metadata": {"annotations": {REVISION: number}, "uid": metadata["uid"]}}
        self.deployment = await self.client.patch(
            DEPLOYMENTS, metadata["name"], patch, metadata["namespace"], type="merge"
        )

    # -- scaling

    async def scale(self, replica_set: Object, replicas: int) -> Object:
        """Give a ReplicaSet another size, and note the deployment's in its annotations. Gives it as it is then."""
        old_size = size(replica_set)
        noted = {**replicasets.annotations(replica_set), **replicasets.replica_annotations(self.deployment)}
        if old_size == replicas and noted == replicasets.annotations(replica_set):
            return replica_set
        changed = {
            **replica_set,
            "metadata": {**replica_set["metadata"], "annotations": noted},
            "spec": {**replica_set["spec"], "replicas": replicas},
        }
        updated = await self.client.update(REPLICASETS, changed)
        self._replace(updated)
        if old_size != replicas:
            self._tell_scaled(updated, "up" if replicas > old_size else "down", old_size, replicas)
        return updated

    def _replace(self, updated: Object) -> None:
        uid = updated["metadata"]["uid"]
        if self.new is not None and self.new["metadata"]["uid"] == uid:
            self.new = updated
        self.old = [updated if old["metadata"]["uid"] == uid else old for old in self.old]

    def _tell_scaled(self, replica_set: Object, direction: str, old: int, new: int) -> None:
        name = replica_set["metadata"]["name"]
        message = f"Scaled {direction} replica set {name} from {old} to {new}"
        self.recorder.event(self.deployment, "Normal", "ScalingReplicaSet", message)

    async def scale_all(self) -> None:
        """Follow a change of the deployment's size: the one active ReplicaSet takes it all, several share it."""
        active = [s for s in self.all if size(s) > 0]
        if len(active) <= 1:
            only = active[0] if active else self.new or (self.old[-1] if self.old else None)
            if only is not None:
                await self.scale(only, self.wanted)
            return
        if self.new is not None and self._is_saturated(self.new):
            for old in self.active_old:
                await self.scale(old, 0)
        elif strategy.is_rolling(self.deployment):
            await self._scale_proportionally(active)

    def _is_saturated(self, replica_set: Object) -> bool:
        """The new ReplicaSet has every pod that the deployment wants, all of them available."""
        desired = replicasets.annotations(replica_set).get(replicasets.DESIRED_REPLICAS)
        available = replica_set.get("status", {}).get("availableReplicas", 0)
        return size(replica_set) == self.wanted == available and desired == str(self.wanted)

    async def _scale_proportionally(self, active: list[Object]) -> None:
        """In the middle of a rollout every ReplicaSet gets its share of the change; the largest takes what rounding
        leaves.
        """
        total = sum(size(s) for s in active)
        most = self.wanted + strategy.max_surge(self.deployment) if self.wanted > 0 else 0
        to_add, added = most - total, 0
        newest_first = sorted(active, key=replicasets.age, reverse=to_add > 0)
        ordered = sorted(newest_first, key=lambda s: -size(s))
        sizes = []
        for replica_set in ordered:
            share = self._proportion(replica_set, to_add, added)
            added += share
            sizes.append(size(replica_set) + share)
        if sizes and to_add:
            sizes[0] = max(0, sizes[0] + to_add - added)
        for replica_set, replicas in zip(ordered, sizes, strict=True):
            await self.scale(replica_set, replicas)

    def _proportion(self, replica_set: Object, to_add: int, added: int) -> int:
        if not size(replica_set) or not to_add or to_add == added:
            return 0
        allowed, fraction = to_add - added, self._fraction(replica_set)
        return min(fraction, allowed) if to_add > 0 else max(fraction, allowed)

    def _fraction(self, replica_set: Object) -> int:
        """The change in size that keeps the ReplicaSet's share of the deployment what it was."""
        if self.wanted == 0:
            return -size(replica_set)
        noted = replicasets.annotations(replica_set).get(MAX_REPLICAS, "")
        before = int(noted) if noted.isdigit() else self.deployment.get("status", {}).get("replicas", 0)
        if not before:
            return 0
        now = self.wanted + strategy.max_surge(self.deployment)
        return int(size(replica_set) * now / before + 0.5) - size(replica_set)

    # -- history and status

    async def clean_up(self) -> None:
        """Delete the oldest ReplicaSets beyond the history limit, those that are empty and settled."""
        limit = self.deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [old for old in self.old if not old["metadata"].get("deletionTimestamp")]
        surplus = len(idle) - limit
        for old in sorted(idle, key=lambda s: (replicasets.revision(s), *replicasets.age(s)))[: max(surplus, 0)]:
            settled = old.get("status", {}).get("observedGeneration", 0) >= old["metadata"].get("generation", 0)
            if old.get("status", {}).get("replicas", 0) or size(old) or not settled:
                continue
            try:
                metadata = old["metadata"]
                await self.client.delete(REPLICASETS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
            except NotFound:
                continue

    async def write_condition(self, truth: str, reason: str, message: str) -> None:
        """Set Progressing now, before the round's own status is written."""
        if strategy.deadline(self.deployment) is None:
            return
        changed = dict(self.deployment.get("status", {}))
        if status.set_condition(changed, "Progressing", truth, reason, message, self.clock.now()):
            await self.write_status(changed)

    async def write_status(self, new: Object) -> None:
        if new != self.deployment.get("status", {}):
            self.deployment = await self.client.update(DEPLOYMENTS, {**self.deployment, "status": new}, "status")
