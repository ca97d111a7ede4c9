"""A DaemonSet's revisions: one ControllerRevision a template, numbered; what `kubectl rollout history` and `undo` read.

Upstream: constructHistory, snapshot and cleanupHistory in pkg/controller/daemon/update.go.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.client import AlreadyExists, APIClient
from kubelab.cluster.controllers.daemonset.placement import HASH
from kubelab.cluster.controllers.hashing import content_hash
from kubelab.cluster.controllers.ownership import Claimer, controller_reference
from kubelab.cluster.resources import CONTROLLERREVISIONS, DAEMONSETS, PODS
from kubelab.cluster.selectors import label_selector_matches

Object = dict[str, Any]


def data_of(daemon_set: Object) -> Object:
    """What a revision holds: the strategic merge patch that brings the template back.

    Keys are in order and the template's metadata has its empty creationTimestamp, as Go writes it: kubectl compares
    the bytes with those that it would write.
    """
    template = daemon_set["spec"]["template"]
    metadata = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return _sorted({"spec": {"template": {**template, "metadata": metadata, "$patch": "replace"}}})


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


class History:
    """The revisions of one DaemonSet during one sync."""

    def __init__(self, client: APIClient, daemon_set: Object) -> None:
        self._client, self._daemon_set = client, daemon_set
        self.old: list[Object] = []
        self.current: Object = {}

    @property
    def hash(self) -> str:
        return self.current["metadata"]["labels"][HASH]

    async def construct(self, cached: list[Object], pods: list[Object]) -> None:
        """Claim the revisions, find or make the one of today's template, and give it the highest number."""
        claimed = await self._claimer().claim(cached)
        wanted = data_of(self._daemon_set)
        same = [revision for revision in claimed if revision["data"] == wanted]
        self.old = [revision for revision in claimed if revision["data"] != wanted]
        number = max((revision["revision"] for revision in self.old), default=0) + 1
        if not same:
            self.current = await self._snapshot(wanted, number)
            return
        self.current = max(same, key=lambda revision: revision["revision"])
        for duplicate in same:
            if duplicate is not self.current:
                await self._replace_duplicate(duplicate, pods)
        if self.current["revision"] < number:
            self.current = await self._client.update(CONTROLLERREVISIONS, {**self.current, "revision": number})

    def _claimer(self) -> Claimer:
        def matches(revision: Object) -> bool:
            return label_selector_matches(self._daemon_set["spec"]["selector"], revision["metadata"].get("labels"))

        return Claimer(self._client, DAEMONSETS, self._daemon_set, CONTROLLERREVISIONS, matches)

    async def _snapshot(self, data: Object, number: int) -> Object:
        meta, template = self._daemon_set["metadata"], self._daemon_set["spec"]["template"]
        collisions = self._daemon_set.get("status", {}).get("collisionCount", 0)
        revision_hash = content_hash([template, collisions] if collisions else template)
        made = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{meta['name']}-{revision_hash}",
                "namespace": meta["namespace"],
                "labels": {**((template.get("metadata") or {}).get("labels") or {}), HASH: revision_hash},
                "annotations": meta.get("annotations") or {},
                "ownerReferences": [controller_reference(self._daemon_set)],
            },
            "data": data,
            "revision": number,
        }
        try:
            return await self._client.create(CONTROLLERREVISIONS, made)
        except AlreadyExists:
            return await self._resolve_collision(made)

    async def _resolve_collision(self, made: Object) -> Object:
        """Our own revision that the cache does not show yet, or another template of the same hash: then count up."""
        name, namespace = made["metadata"]["name"], made["metadata"]["namespace"]
        existing = await self._client.get(CONTROLLERREVISIONS, name, namespace)
        if existing["data"] == made["data"]:
            return existing
        fresh = await self._client.get(DAEMONSETS, self._daemon_set["metadata"]["name"], namespace)
        status = fresh.get("status", {})
        counted = {**status, "collisionCount": status.get("collisionCount", 0) + 1}
        await self._client.update(DAEMONSETS, {**fresh, "status": counted}, "status")
        raise AlreadyExists({"message": f'hash collision on "{name}", trying another name'})

    async def _replace_duplicate(self, duplicate: Object, pods: list[Object]) -> None:
        """Pods of the duplicate count as the current revision's from now on."""
        wrong = duplicate["metadata"]["labels"].get(HASH)
        for pod in pods:
            if pod["metadata"].get("labels", {}).get(HASH) == wrong:
                patch = {"metadata": {"labels": {HASH: self.hash}}}
                await self._client.patch(PODS, pod["metadata"]["name"], patch, pod["metadata"]["namespace"])
        await self._delete(duplicate)

    async def clean_up(self, pods: list[Object]) -> None:
        """Delete the oldest revisions beyond the limit, but none that a pod still has."""
        surplus = len(self.old) - self._daemon_set["spec"].get("revisionHistoryLimit", 10)
        live = {(pod["metadata"].get("labels") or {}).get(HASH) for pod in pods}
        for revision in sorted(self.old, key=lambda revision: revision["revision"]):
            if surplus <= 0:
                return
            if (revision["metadata"].get("labels") or {}).get(HASH) not in live:
                await self._delete(revision)
                surplus -= 1

    async def _delete(self, revision: Object) -> None:
        metadata = revision["metadata"]
        await self._client.delete(CONTROLLERREVISIONS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
