"""Routes of networks (moby: api/server/router/network)."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from kubelab.engine import networks, query
from kubelab.engine.answers import json_answer
from kubelab.engine.containers import read_json
from kubelab.engine.engine import Engine
from kubelab.engine.errors import DockerError
from kubelab.engine.networks import Network
from kubelab.engine.volumes import has_labels


def routes(engine: Engine) -> list[web.RouteDef]:
    store, wiring = engine.networks, engine.wiring

    def shown(network: Network, *, detailed: bool) -> dict:
        return network.shown(store.running_members(network) if detailed else None)

    async def listed(request: web.Request) -> web.Response:
        found = store.select(query.filters(request, networks.FILTERS))
        return json_answer([shown(each, detailed=False) for each in found])

    async def inspect(request: web.Request) -> web.Response:
        return json_answer(shown(store.find(request.match_info["name"]), detailed=True))

    async def create(request: web.Request) -> web.Response:
        network = store.create(await read_json(request))
        return json_answer({"Id": network.id, "Warning": ""}, status=201)

    async def remove(request: web.Request) -> web.Response:
        await wiring.remove(store.find(request.match_info["name"]))
        return web.Response(status=204)

    async def connect(request: web.Request) -> web.Response:
        asked = await read_json(request)
        network = store.find(request.match_info["name"])
        await wiring.connect(
            engine.containers.find(asked.get("Container") or ""), network, asked.get("EndpointConfig") or {}
        )
        return web.Response(status=200)

    async def disconnect(request: web.Request) -> web.Response:
        asked = await read_json(request)
        network = store.find(request.match_info["name"])
        try:
            container = engine.containers.find(asked.get("Container") or "")
        except DockerError:
            if asked.get("Force"):
                return web.Response(status=200)
            raise
        await wiring.disconnect(container, network)
        return web.Response(status=200)

    async def prune(request: web.Request) -> web.Response:
        filters = query.filters(request, ("label", "label!", "until"))
        until = [query.moment(each) for each in filters.get("until", [])]
        removed = []
        for network in store.all():
            made = datetime.fromisoformat(network.created[:26] + "+00:00").timestamp()
            unwanted = any(has_labels(network.labels, [label]) for label in filters.get("label!", []))
            kept = network.builtin or store.members(network.name) or any(made > each for each in until) or unwanted
            if not kept and has_labels(network.labels, filters.get("label", [])):
                await wiring.remove(network)
                removed.append(network.name)
        engine.events.publish("network", "prune", "", reclaimed="0")
        return json_answer({"NetworksDeleted": removed or None})

    return [
        web.route("GET", "/networks", listed),
        web.route("POST", "/networks/create", create),
        web.route("POST", "/networks/prune", prune),
        web.route("GET", "/networks/{name}", inspect),
        web.route("DELETE", "/networks/{name}", remove),
        web.route("POST", "/networks/{name}/connect", connect),
        web.route("POST", "/networks/{name}/disconnect", disconnect),
    ]
