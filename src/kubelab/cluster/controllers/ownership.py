"""Claiming objects: adopt those that match and have no controller, release those that match no more.

Upstream: pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelab.cluster.client import APIClient, APIError, Invalid, NotFound
from kubelab.cluster.pods import controller_of, is_terminating
from kubelab.cluster.resources import Resource

Object = dict[str, Any]


def controller_reference(owner: Object) -> Object:
    """The owner reference with which `owner` controls another object and holds back its own foreground deletion."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


class GoneOwner(APIError):
    """The owner was deleted or replaced since it was cached: nothing may be adopted in its name."""


class Claimer:
    """Claims objects of `resource` for one `owner` (of `owner_resource`) during one sync."""

    def __init__(
        self,
        client: APIClient,
        owner_resource: Resource,
        owner: Object,
        resource: Resource,
        matches: Callable[[Object], bool],
        finalizer: str = "",
    ) -> None:
        """What is adopted gets the `finalizer`, if there is one, and what is released loses it."""
        self._client = client
        self._owner_resource, self._owner = owner_resource, owner
        self._resource, self._matches = resource, matches
        self._finalizer = finalizer
        self._may_adopt = False

    async def claim(self, objects: list[Object]) -> list[Object]:
        """Those of `objects` that belong to the owner, after adopting and releasing."""
        return [obj for obj in objects if await self._claim(obj)]

    async def _claim(self, obj: Object) -> bool:
        reference = controller_of(obj)
        if reference is not None:
            if reference["uid"] != self._owner["metadata"]["uid"]:
                return False
            if self._matches(obj):
                return True
            if not is_terminating(self._owner):
                await self._release(obj)
            return False
        if is_terminating(self._owner) or is_terminating(obj) or not self._matches(obj):
            return False
        return await self._adopt(obj)

    async def _adopt(self, obj: Object) -> bool:
        await self._check_owner_is_live()
        references = [controller_reference(self._owner)]
        patch: Object = {"metadata": {"ownerReferences": references, "uid": obj["metadata"]["uid"]}}
        if self._finalizer:
            patch["metadata"]["finalizers"] = [self._finalizer]
        try:
            await self._patch(obj, patch)
        except NotFound:
            return False
        return True

    async def _release(self, obj: Object) -> None:
        mine = {"$patch": "delete", "uid": self._owner["metadata"]["uid"]}
        patch: Object = {"metadata": {"ownerReferences": [mine], "uid": obj["metadata"]["uid"]}}
        if self._finalizer:
            patch["metadata"]["$deleteFromPrimitiveList/finalizers"] = [self._finalizer]
        try:
            await self._patch(obj, patch)
        except (NotFound, Invalid):
            return  # gone, or already another object of that name: nothing of ours is left to release

    async def _patch(self, obj: Object, patch: Object) -> None:
        metadata = obj["metadata"]
        await self._client.patch(self._resource, metadata["name"], patch, metadata.get("namespace"))

    async def _check_owner_is_live(self) -> None:
        """Ask the API, not the cache: a deleted owner whose deletion was not seen yet must not adopt."""
        if self._may_adopt:
            return
        cached = self._owner["metadata"]
        fresh = await self._client.get(self._owner_resource, cached["name"], cached.get("namespace"))
        what = f"{self._owner_resource.kind} {cached.get('namespace')}/{cached['name']}"
        if fresh["metadata"]["uid"] != cached["uid"]:
            raise GoneOwner(
                {"message": f"original {what} is gone: got uid {fresh['metadata']['uid']}, wanted {cached['uid']}"}
            )
        if is_terminating(fresh):
            raise GoneOwner({"message": f"{what} has just been deleted at {fresh['metadata']['deletionTimestamp']}"})
        self._may_adopt = True
