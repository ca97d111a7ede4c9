"""Uploads of blobs: at once, in one stream, in chunks, or taken over from another repository.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push
"""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path

from aiohttp import web

from kubelab.images.registry.server.content import Content
from kubelab.images.registry.server.errors import ProtocolError
from kubelab.images.registry.server.storage import DIGEST, sha256

ID = "{id:[0-9a-f]{32}}"
CHUNK = 1 << 18
_RANGE = re.compile(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?")


class Uploads:
    def __init__(self, content: Content) -> None:
        self._content = content
        self._busy: set[str] = set()  # uploads to which somebody is sending

    def routes(self) -> list[web.RouteDef]:
        path = f"/blobs/uploads/{ID}"
        return [
            web.route("POST", "/blobs/uploads/", self.begin),
            web.route("GET", path, self.status),
            web.route("PATCH", path, self.append),
            web.route("PUT", path, self.finish),
            web.route("DELETE", path, self.cancel),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        name, digest = request.match_info["name"], request.query.get("mount", "")
        if digest and await asyncio.to_thread(self._mount, name, digest, request.query.get("from", "")):
            return _created(name, digest)
        id = uuid.uuid4().hex
        self._file(id).touch(mode=0o600)
        if "digest" not in request.query:
            return self._accepted(name, id, 202)
        try:
            await self._receive(request, id)
            return await self._commit(name, id, request.query["digest"])
        finally:
            self._file(id).unlink(missing_ok=True)

    def _mount(self, name: str, digest: str, source: str) -> bool:
        """Note that this repository has what `source` has; without a source, what any has."""
        if not DIGEST.fullmatch(digest):
            return False
        # A source that is none of ours may be no name at all, and so is compared and not looked for.
        for other in self._content.pushed.repositories():
            if source and other != source:
                continue
            if self._content.pushed.blob(other, digest):
                self._content.pushed.mark(name, digest)
                return True
        return False

    async def status(self, request: web.Request) -> web.Response:
        return self._accepted(request.match_info["name"], self._known(request), 204)

    async def append(self, request: web.Request) -> web.Response:
        id = self._known(request)
        self._check_range(request, id)
        await self._receive(request, id)
        return self._accepted(request.match_info["name"], id, 202)

    async def finish(self, request: web.Request) -> web.Response:
        """The last chunk, which may be none, and the digest of the whole."""
        id = self._known(request)
        if "digest" not in request.query:
            raise ProtocolError("DIGEST_INVALID", "the digest is missing")
        if request.body_exists:
            self._check_range(request, id)
            await self._receive(request, id)
        return await self._commit(request.match_info["name"], id, request.query["digest"])

    async def cancel(self, request: web.Request) -> web.Response:
        self._file(self._known(request)).unlink(missing_ok=True)
        return web.Response(status=204)

    # -- one upload

    def _file(self, id: str) -> Path:
        return self._content.pushed.uploads / id

    def _known(self, request: web.Request) -> str:
        id = request.match_info["id"]
        if not self._file(id).exists():
            raise ProtocolError("BLOB_UPLOAD_UNKNOWN")
        return id

    def _check_range(self, request: web.Request, id: str) -> None:
        """A chunk that names its place must begin where the last one ended, and be as long as it says."""
        if not (said := request.headers.get("Content-Range")):
            return
        match, size = _RANGE.fullmatch(said.strip()), self._file(id).stat().st_size
        if not match or int(match[1]) != size or int(match[2]) < size - 1:
            raise ProtocolError("RANGE_INVALID", headers=self._progress(request.match_info["name"], id))
        if request.content_length is not None and request.content_length != int(match[2]) - int(match[1]) + 1:
            raise ProtocolError("SIZE_INVALID")

    async def _receive(self, request: web.Request, id: str) -> None:
        """Append the body. What comes before a connection breaks stays: the client may ask how far it got."""
        if id in self._busy:
            raise ProtocolError("BLOB_UPLOAD_INVALID", "somebody is sending to this upload already")
        self._busy.add(id)
        try:
            with self._file(id).open("ab") as file:
                async for data in request.content.iter_chunked(CHUNK):
                    file.write(data)
        finally:
            self._busy.discard(id)

    async def _commit(self, name: str, id: str, digest: str) -> web.Response:
        if not DIGEST.fullmatch(digest):
            raise ProtocolError("DIGEST_INVALID", f"{digest} is no sha256 digest")
        if await asyncio.to_thread(sha256, self._file(id)) != digest:
            self._file(id).unlink(missing_ok=True)
            raise ProtocolError("DIGEST_INVALID", {"digest": digest})
        await asyncio.to_thread(self._content.pushed.keep_blob, name, digest, self._file(id))
        return _created(name, digest)

    # -- answers

    def _progress(self, name: str, id: str) -> dict[str, str]:
        last = max(self._file(id).stat().st_size - 1, 0)
        return {"Location": f"/v2/{name}/blobs/uploads/{id}", "Range": f"0-{last}", "Docker-Upload-UUID": id}

    def _accepted(self, name: str, id: str, status: int) -> web.Response:
        return web.Response(status=status, headers=self._progress(name, id))


def _created(name: str, digest: str) -> web.Response:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return web.Response(status=201, headers=headers)
