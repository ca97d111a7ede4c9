"""Naming and removing images: `docker tag`, `rmi`, `image prune`.

What may be removed, and in which order, is moby's daemon/images/image_delete.go: a name first; the image with its last
name; then each untagged parent that nothing else stands on.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from kubelab.engine import query
from kubelab.engine.answers import json_answer
from kubelab.engine.disk_use import layers_size
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.images import has_label, seconds
from kubelab.engine.query import moment
from kubelab.images.reference import Reference, parse, with_tag
from kubelab.images.store import Image, ImageNotFound, short

PRUNE_FILTERS = ("dangling", "label", "label!", "until")
Records = list[dict[str, str]]


def routes(engine: Engine) -> list[web.RouteDef]:
    async def tag(request: web.Request) -> web.Response:
        await engine.base_image()
        image = engine.store.resolve(request.match_info["name"])
        repository, label = request.query.get("repo", ""), request.query.get("tag", "")
        reference = parse(repository)
        if not reference.digest:
            reference = with_tag(reference, label)
        if reference.digest:
            raise DockerError(400, "refusing to create a tag with a digest reference")
        engine.store.tag(image.id, reference)
        engine.events.publish("image", "tag", image.id, name=str(reference.tagged()))
        return web.Response(status=201)

    async def remove(request: web.Request) -> web.Response:
        force, prune = query.flag(request, "force"), not query.flag(request, "noprune")
        return json_answer(await Removal(engine, force, prune).remove(request.match_info["name"]))

    async def prune(request: web.Request) -> web.Response:
        return json_answer(await prune_images(engine, query.filters(request, PRUNE_FILTERS)))

    return [
        web.route("POST", "/images/{name:.+}/tag", tag),
        web.route("POST", "/images/prune", prune),
        web.route("DELETE", "/images/{name:.+}", remove),
    ]


class Removal:
    """One `docker rmi`: `force` overrules what is only a precaution, `prune` takes untagged parents along."""

    def __init__(self, engine: Engine, force: bool, prune: bool) -> None:
        self._engine, self._store = engine, engine.store
        self._force, self._prune = force, prune
        self.records: Records = []

    async def remove(self, name: str) -> Records:
        """Remove what `name` means and say what went: `Untagged`, then `Deleted`."""
        image = self._store.resolve(name)
        names = self._store.references(image.id)
        one_repository = len({parse(each).repository for each in names}) <= 1 and len(names) <= 1
        by_id = image.id.removeprefix("sha256:").startswith(name.removeprefix("sha256:")) and name not in names
        if by_id:
            if one_repository:
                await self._refuse_conflict(image, referenced=False)
                self._untag(image, [*names, *self._store.digests(image.id)])
        else:
            if one_repository and not self._force:
                await self._refuse_named_use(image, name)
            reference = parse(name)
            self._untag(image, [str(replace(reference, tag="") if reference.digest else reference.tagged())])
            self._untag_digests(image, reference)
            if self._store.references(image.id) or self._store.digests(image.id):
                return self.records
        await self._delete(image, quiet=not by_id)
        return self.records

    def _untag(self, image: Image, names: list[str]) -> None:
        for name in names:
            self._store.untag(name)
            self._engine.events.publish("image", "untag", image.id, name=image.id)
            self.records.append({"Untagged": name})

    def _untag_digests(self, image: Image, gone: Reference) -> None:
        """With the last tag of a repository its digests go too."""
        if not any(parse(name).repository == gone.repository for name in self._store.references(image.id)):
            digests = self._store.digests(image.id)
            self._untag(image, [name for name in digests if parse(name).repository == gone.repository])

    async def _delete(self, image: Image, *, quiet: bool) -> None:
        """Delete the image and then its parents. `quiet`: an image that must stay is no error."""
        conflict = await self._conflict(image, self._force, referenced=not self._force)
        if conflict:
            if quiet:
                return
            raise DockerError(409, conflict)
        self._untag(image, [*self._store.references(image.id), *self._store.digests(image.id)])
        self.records += [{"Deleted": digest} for digest in await asyncio.to_thread(self._store.delete, image.id)]
        self._engine.events.publish("image", "delete", image.id, name=image.id)
        if self._prune and image.parent:
            await self._prune_parent(image.parent)

    async def _prune_parent(self, image_id: str) -> None:
        try:
            parent = self._store.get_image(image_id)
        except ImageNotFound:
            return
        if not await self._conflict(parent, force=False, referenced=True, tagged=True):
            self._force = False
            await self._delete(parent, quiet=True)

    async def _refuse_conflict(self, image: Image, *, referenced: bool) -> None:
        if conflict := await self._conflict(image, self._force, referenced=referenced):
            raise DockerError(409, conflict)

    async def _refuse_named_use(self, image: Image, name: str) -> None:
        for container, _ in await self._engine.containers_of(image.id):
            raise DockerError(
                409,
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{container[:12]} is using its referenced image {short(image.id)}",
            )

    async def _conflict(self, image: Image, force: bool, *, referenced: bool, tagged: bool = False) -> str:
        """Why the image cannot go, "" where it can. Children and running containers cannot be overruled."""
        unable = f"conflict: unable to delete {short(image.id)}"
        if self._store.has_children(image.id):
            return f"{unable} (cannot be forced) - image has dependent child images"
        users = await self._engine.containers_of(image.id)
        for container, running in users:
            if running:
                return f"{unable} (cannot be forced) - image is being used by running container {container[:12]}"
        names = self._store.references(image.id)
        if referenced and len(names) > (0 if tagged else 1):
            return f"{unable} (must be forced) - image is referenced in multiple repositories"
        if users and not force:
            return f"{unable} (must be forced) - image is being used by stopped container {users[0][0][:12]}"
        return ""


async def prune_images(engine: Engine, filters: dict[str, list[str]]) -> dict[str, object]:
    """`docker image prune`: the images without a name that nothing is made from; with `dangling=false`, all unused."""
    dangling_only = query.boolean(filters, "dangling", True)
    until = [moment(text) for text in filters.get("until", [])]
    before = layers_size(engine)
    removed: Records = []
    for image in engine.store.all():
        younger = any(seconds(image.config.get("created")) > limit for limit in until)
        if not younger and await _unused(engine, image, filters, dangling_only):
            removal = Removal(engine, force=False, prune=True)
            for name in engine.store.references(image.id) or [image.id]:
                removed += await removal.remove(name)
                removal.records = []
    return {"ImagesDeleted": removed or None, "SpaceReclaimed": before - layers_size(engine)}


async def _unused(engine: Engine, image: Image, filters: dict[str, list[str]], dangling_only: bool) -> bool:
    labels = image.run_config.get("Labels") or {}
    if not all(has_label(labels, label) for label in filters.get("label", [])):
        return False
    if any(has_label(labels, label) for label in filters.get("label!", [])):
        return False
    if not engine.store.exists(image.id):  # it has gone with its child
        return False
    named = bool(engine.store.references(image.id) or engine.store.digests(image.id))
    if dangling_only and named:
        return False
    if engine.store.has_children(image.id) and not named:  # with a name it loses that alone
        return False
    return not await engine.containers_of(image.id)
