"""A registry in a few lines, that can be told to misbehave."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from harness_images import make_tar
from kubelab.images.reference import Reference, parse
from kubelab.images.registry import manifests

TOKEN = "a-token"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class FakeRegistry:
    """`async with FakeRegistry() as registry`; `seen` holds (method, path, Authorization) of each request."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.challenge = ""  # WWW-Authenticate's value, with {url}; "" asks nobody
        self.cut: dict[str, int] = {}  # digest -> after how many bytes the connection breaks, once
        self.fails: dict[str, list[tuple[int, str]]] = {}  # digest -> status and code of its next answers
        self.token_uses = 0  # requests after which a token ends; 0: never
        self._used = 0
        self.ranges: list[str] = []
        self.elsewhere = ""  # where blobs are redirected to
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("GET", "/token", self._token)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._server = TestServer(app)

    async def __aenter__(self) -> FakeRegistry:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    def reference(self, name: str) -> Reference:
        return parse(f"{self.host}/{name}")

    # -- content

    def blob(self, data: bytes) -> str:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def image(self, name: str, *, oci: bool = False, compress: Any = gzip.compress, **config: Any) -> str:
        """An image of one layer under a tag; its manifest's digest."""
        tar = make_tar({"f": name})
        layer = compress(tar)
        rootfs = {"type": "layers", "diff_ids": [digest_of(tar)]}
        data = json.dumps({"os": "linux", "config": {}, "rootfs": rootfs, **config}).encode()
        kind = "application/vnd.oci.image.{}" if oci else "application/vnd.docker.{}"
        config_type = kind.format("config.v1+json") if oci else manifests.CONFIG
        layer_type = kind.format("layer.v1.tar+gzip") if oci else manifests.LAYER
        manifest = {
            "schemaVersion": 2,
            "config": {"mediaType": config_type, "digest": self.blob(data), "size": len(data)},
            "layers": [{"mediaType": layer_type, "digest": self.blob(layer), "size": len(layer)}],
        }
        return self.put(name, manifest, manifests.OCI_MANIFEST if oci else manifests.MANIFEST)

    def put(self, name: str, manifest: dict[str, Any], media_type: str) -> str:
        data = json.dumps(manifest).encode()
        self.manifests[name] = self.manifests[digest_of(data)] = data, media_type
        return digest_of(data)

    def index(self, name: str, media_type: str, **platforms: str) -> str:
        """`architecture=digest` of manifests that are there."""
        items = [
            {
                "mediaType": manifests.MANIFEST,
                "digest": digest,
                "size": len(self.manifests[digest][0]),
                "platform": {"os": "linux", "architecture": architecture},
            }
            for architecture, digest in platforms.items()
        ]
        return self.put(name, {"schemaVersion": 2, "manifests": items}, media_type)

    # -- answers

    async def _token(self, request: web.Request) -> web.Response:
        self.seen.append(("GET", str(request.rel_url), request.headers.get("Authorization", "")))
        return web.json_response({"token": TOKEN})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        self.seen.append((request.method, request.path, authorization))
        self._used += bool(authorization)
        ended = self.token_uses and self._used > self.token_uses
        if self.challenge and (not authorization or ended):
            self._used = 0
            challenge = self.challenge.format(url=f"http://{self.host}")
            return web.json_response(
                {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]},
                status=401,
                headers={"WWW-Authenticate": challenge},
            )
        _, _, last = request.path.rpartition("/")
        if self.fails.get(last):
            status, code = self.fails[last].pop(0)
            return web.json_response({"errors": [{"code": code, "message": "no"}]} if code else {}, status=status)
        if "/blobs/" in request.path and last in self.blobs:
            if self.elsewhere:
                raise web.HTTPTemporaryRedirect(f"{self.elsewhere}{request.path}")
            return await self._blob(request, last)
        if "/manifests/" in request.path and last in self.manifests:
            data, media_type = self.manifests[last]
            return web.Response(body=data, content_type=media_type)
        return web.json_response({}) if request.path == "/v2/" else web.json_response({}, status=404)

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        data, wanted = self.blobs[digest], request.headers.get("Range", "")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.ranges += [wanted] if wanted else []
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = len(data) - start
        await response.prepare(request)
        if end := self.cut.pop(digest, 0):
            await response.write(data[start:end])
            request.transport.close()
            return response
        await response.write(data[start:])
        return response
