"""Manifests: HEAD, GET, PUT, DELETE; tags; the catalogue; and who refers to whom.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#content-discovery
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from kubelab.images.registry.manifests import (
    FOREIGN,
    MANIFEST_LIST,
    MAX_SIZE,
    OCI_INDEX,
    OCI_MANIFEST,
    SCHEMA_1,
    Descriptor,
    InvalidManifest,
)
from kubelab.images.registry.server.content import Content
from kubelab.images.registry.server.errors import ProtocolError
from kubelab.images.registry.server.storage import DIGEST, StoredManifest

PATH = "/manifests/{reference:[^/]+}"
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
PAGE = 1000  # results where a client asks for more


def routes(content: Content) -> list[web.RouteDef]:
    async def get(request: web.Request) -> web.Response:
        found = await asyncio.to_thread(_find, content, request)
        headers = {"Docker-Content-Digest": found.digest, "ETag": f'"{found.digest}"', "Content-Type": found.media_type}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(found.data))})
        return web.Response(body=found.data, headers=headers)

    async def put(request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        data = await _body(request)
        manifest = StoredManifest(data, _media_type(request, data), "sha256:" + hashlib.sha256(data).hexdigest())
        if ":" in reference and reference != manifest.digest:
            raise ProtocolError("DIGEST_INVALID", {"digest": reference})
        subject = await asyncio.to_thread(_keep, content, name, reference, manifest)
        headers = {"Location": f"/v2/{name}/manifests/{manifest.digest}", "Docker-Content-Digest": manifest.digest}
        return web.Response(status=201, headers=headers | ({"OCI-Subject": subject} if subject else {}))

    async def delete(request: web.Request) -> web.Response:
        name, reference = request.match_info["name"], request.match_info["reference"]
        remove = content.pushed.delete_manifest if DIGEST.fullmatch(reference) else content.pushed.delete_tag
        if not await asyncio.to_thread(remove, name, reference):
            if content.lab.manifest(name, reference):
                raise ProtocolError("UNSUPPORTED", "it is an image of the engine: docker rmi")
            raise ProtocolError("MANIFEST_UNKNOWN", {"name": name, "reference": reference})
        return web.Response(status=202)

    async def tags(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        found = await asyncio.to_thread(content.tags, name)
        if not found and name not in await asyncio.to_thread(content.repositories):
            raise ProtocolError("NAME_UNKNOWN", {"name": name})
        page, headers = _page(request, found)
        return web.json_response({"name": name, "tags": page}, headers=headers)

    async def referrers(request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        if not DIGEST.fullmatch(digest):
            raise ProtocolError("DIGEST_INVALID", {"digest": digest})
        found = await asyncio.to_thread(lambda: list(_referring(content, request.match_info["name"], digest)))
        wanted = request.query.get("artifactType")
        headers = {"OCI-Filters-Applied": "artifactType"} if wanted else {}
        items = [each for each in found if not wanted or each["artifactType"] == wanted]
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": items}
        return web.Response(body=json.dumps(body).encode(), headers={**headers, "Content-Type": OCI_INDEX})

    return [
        web.route("GET", PATH, get),
        web.route("HEAD", PATH, get),
        web.route("PUT", PATH, put),
        web.route("DELETE", PATH, delete),
        web.route("GET", "/tags/list", tags),
        web.route("GET", "/referrers/{digest:[^/]+}", referrers),
    ]


def catalog(content: Content) -> Any:
    async def answer(request: web.Request) -> web.Response:
        page, headers = _page(request, await asyncio.to_thread(content.repositories))
        return web.json_response({"repositories": page}, headers=headers)

    return answer


def _find(content: Content, request: web.Request) -> StoredManifest:
    name, reference = request.match_info["name"], request.match_info["reference"]
    if found := content.manifest(name, reference):
        return found
    raise ProtocolError("MANIFEST_UNKNOWN", {"name": name, "reference": reference})


def _page(request: web.Request, names: list[str]) -> tuple[list[str], dict[str, str]]:
    """`n` names after `last`, and where the next ones are (RFC 5988)."""
    try:
        count = int(request.query.get("n", PAGE))
    except ValueError:
        count = -1
    if count < 0:
        raise ProtocolError("PAGINATION_NUMBER_INVALID", {"n": request.query["n"]})
    left = [each for each in names if each > request.query.get("last", "")]
    page = left[: min(count, PAGE)]
    if not page or len(page) == len(left):
        return page, {}
    following = urlencode({"n": count, "last": page[-1]})
    return page, {"Link": f'<{request.path}?{following}>; rel="next"'}


# -- what is put


async def _body(request: web.Request) -> bytes:
    data = b""
    async for more in request.content.iter_any():
        data += more
        if len(data) > MAX_SIZE:
            raise ProtocolError("MANIFEST_INVALID", f"it is larger than {MAX_SIZE} bytes")
    return data


def _media_type(request: web.Request, data: bytes) -> str:
    """What the manifest says that it is; it must not say otherwise than the request."""
    found = _object(data)
    said, sent = found.get("mediaType"), request.headers.get("Content-Type", "").partition(";")[0].strip()
    if said and sent and said != sent:
        raise ProtocolError("MANIFEST_INVALID", f"mediaType is {said}, Content-Type {sent}")
    if found.get("schemaVersion") != 2 or sent in SCHEMA_1:
        raise ProtocolError("MANIFEST_INVALID", "schemaVersion 2 is expected: schema 1 is not kept here")
    return str(said or sent or OCI_MANIFEST)


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProtocolError("MANIFEST_INVALID", "a JSON object is expected")
    return found


def _keep(content: Content, name: str, reference: str, manifest: StoredManifest) -> str:
    """Store a manifest whose parts are here. The digest of its subject, or ""."""
    found = _object(manifest.data)
    try:
        index = manifest.media_type in (OCI_INDEX, MANIFEST_LIST)
        if index:
            parts = _descriptors(found, "manifests")
            missing = [each.digest for each in parts if not _keep_part(content, name, each.digest)]
        else:
            parts = [Descriptor.of(found.get("config")), *_descriptors(found, "layers")]
            needed = [each for each in parts if not any(word in each.media_type for word in FOREIGN)]
            missing = [each.digest for each in needed if not content.keep(name, each.digest)]
        subject = Descriptor.of(found["subject"]).digest if found.get("subject") else ""
    except InvalidManifest as error:
        raise ProtocolError("MANIFEST_INVALID", str(error)) from None
    if missing:
        raise ProtocolError("MANIFEST_BLOB_UNKNOWN", {"digest": missing[0]})
    content.pushed.put_manifest(name, manifest)
    if ":" not in reference:
        content.pushed.tag(name, reference, manifest.digest)
    return subject


def _keep_part(content: Content, name: str, digest: str) -> bool:
    """See that a manifest of an index stays, with all that it needs. False where there is none."""
    if content.pushed.manifest(name, digest):
        return True
    found = content.lab.manifest(name, digest)
    if found is None:
        return False
    _keep(content, name, digest, found)
    return True


def _descriptors(found: dict[str, Any], key: str) -> list[Descriptor]:
    items = found.get(key)
    if not isinstance(items, list):
        raise InvalidManifest(f"invalid manifest: a list of {key} is expected")
    return [Descriptor.of(each) for each in items]


def _referring(content: Content, name: str, digest: str) -> Any:
    """Descriptors of the manifests whose subject is `digest`."""
    for manifest in content.pushed.manifests(name):
        found = _object(manifest.data)
        subject, config = found.get("subject"), found.get("config")
        if isinstance(subject, dict) and subject.get("digest") == digest:
            kind = found.get("artifactType") or (config.get("mediaType") if isinstance(config, dict) else "") or ""
            described = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.data)}
            notes = {"annotations": found["annotations"]} if found.get("annotations") else {}
            yield {**described, "artifactType": kind, **notes}
