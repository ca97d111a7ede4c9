"""Blobs: HEAD, GET (a range, too), DELETE."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kubelab.images.registry.server.content import Content
from kubelab.images.registry.server.errors import ProtocolError
from kubelab.images.registry.server.storage import DIGEST

PATH = "/blobs/{digest:[^/]+:[^/]+}"


def routes(content: Content) -> list[web.RouteDef]:
    async def get(request: web.Request) -> web.StreamResponse:
        name, digest = request.match_info["name"], digest_of(request)
        path = await asyncio.to_thread(content.blob, name, digest)
        if path is None:
            raise ProtocolError("BLOB_UNKNOWN", {"digest": digest})
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "Cache-Control": "max-age=31536000",
        }
        return web.FileResponse(path, headers=headers)  # answers HEAD and Range, and copies nothing

    async def delete(request: web.Request) -> web.Response:
        name, digest = request.match_info["name"], digest_of(request)
        if not await asyncio.to_thread(content.pushed.delete_blob, name, digest):
            if content.lab.blob(name, digest):
                raise ProtocolError("UNSUPPORTED", "it belongs to an image of the engine: docker rmi")
            raise ProtocolError("BLOB_UNKNOWN", {"digest": digest})
        return web.Response(status=202, headers={"Docker-Content-Digest": digest})

    return [web.route("GET", PATH, get), web.route("HEAD", PATH, get), web.route("DELETE", PATH, delete)]


def digest_of(request: web.Request) -> str:
    digest = request.match_info["digest"]
    if not DIGEST.fullmatch(digest):
        raise ProtocolError("DIGEST_INVALID", f"{digest} is no sha256 digest")
    return digest
