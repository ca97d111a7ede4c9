"""Looking at containers: ps, inspect, top, diff (moby: daemon/{list,inspect,top_unix,changes}.go)."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubelab.engine import containers_files, containers_links, containers_top, containers_view, query
from kubelab.engine.containers_record import Container
from kubelab.engine.engine import Engine
from kubelab.images.store import ImageNotFound
from kubelab.images.view import MergedView


def routes(engine: Engine) -> list[web.RouteDef]:
    look = Look(engine)
    return [
        web.route("GET", "/containers/json", look.list),
        web.route("GET", "/containers/{name}/json", look.inspect),
        web.route("GET", "/containers/{name}/top", look.top),
        web.route("GET", "/containers/{name}/changes", look.changes),
    ]


class Look:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _container(self, request: web.Request) -> Container:
        return self._engine.containers.find(request.match_info["name"])

    async def list(self, request: web.Request) -> web.Response:
        filters = query.filters(request, containers_view.FILTERS)
        limit = request.query.get("limit", "")
        many = int(limit) if limit.lstrip("-").isdigit() and int(limit) > 0 else None
        everything = query.flag(request, "all") or many is not None
        shown = containers_view.select(self._engine.containers.all(), filters, everything, self._engine.store)
        sized = query.flag(request, "size")
        names = containers_links.names(self._engine.containers.all())
        lines = [
            containers_view.summary(
                each, self._engine.store, await self.size(each) if sized else None, names.get(each.id, ())
            )
            for each in shown[:many]
        ]
        return web.json_response(lines)

    async def inspect(self, request: web.Request) -> web.Response:
        container = self._container(request)
        size = await self.size(container) if query.flag(request, "size") else None
        links = containers_links.shown(container, self._engine.containers.find)
        return web.json_response(containers_view.inspect(container, self._engine.store, size, links))

    async def size(self, container: Container) -> tuple[int, int]:
        """Bytes of the writable layer, and with the image's."""
        own = 0
        if container.runtime_id:
            folder = await asyncio.to_thread(self._engine.runtime.writable_layer, container.runtime_id)
            own = await asyncio.to_thread(containers_files.size, folder)
        try:
            return own, own + self._engine.store.get_image(container.image_id).size
        except ImageNotFound:
            return own, own

    async def top(self, request: web.Request) -> web.Response:
        container = self._container(request)
        containers_top.require(container)
        found = await self._engine.runtime.processes(container.runtime_id)
        return web.json_response(await containers_top.table(found, request.query.get("ps_args", "")))

    async def changes(self, request: web.Request) -> web.Response:
        container = self._container(request)
        if not container.runtime_id:
            return web.json_response(None)
        image = MergedView(self._engine.store.lower_dirs(container.image_id))
        writable = await asyncio.to_thread(self._engine.runtime.writable_layer, container.runtime_id)
        if not writable.exists():
            return web.json_response(None)
        return web.json_response(await asyncio.to_thread(containers_files.diff, writable, image) or None)
