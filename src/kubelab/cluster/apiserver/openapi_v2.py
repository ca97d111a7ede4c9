"""OpenAPI v2 in protobuf, which is the only form that kubectl before 1.27 asks for.

Upstream: google/gnostic-models, openapiv2/OpenAPIv2.proto; the field numbers below are that file's.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from kubelab.cluster.apiserver import errors
from kubelab.cluster.apiserver.metrics import schema as metrics
from kubelab.cluster.apiserver.schema import definitions
from kubelab.cluster.resources import RESOURCES, Resource
from kubelab.cluster.version import GIT_VERSION

Object = dict[str, Any]
# Clients ask for `…spec.v2@v1.0+protobuf`, which is no valid media type and so cannot be answered.
MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
REFERENCE = "#/definitions/"


def respond(request: web.Request) -> web.Response:
    """The document. JSON is not served: the clients that read it read v3. Raises 406."""
    accept = request.headers.get("Accept", "")
    if "proto-openapi" not in accept and "*/*" not in accept:
        raise errors.not_acceptable((MEDIA_TYPE,))
    body = document()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    return web.Response(body=body, headers={"Content-Type": MEDIA_TYPE, "ETag": etag})


@cache
def document() -> bytes:
    """The message Document: versions, definitions, and of the paths what clients look at: whether PATCH has dryRun."""
    info = _string(1, "Kubernetes") + _string(2, GIT_VERSION)
    schemas = definitions() | metrics.definitions()
    named = b"".join(_bytes(1, _named(name, _schema(schema))) for name, schema in schemas.items())
    return _string(1, "2.0") + _bytes(2, info) + _bytes(8, _paths()) + _bytes(9, named)


def _paths() -> bytes:
    """The message Paths. kubectl finds a kind's PATCH by its extension, wherever the path is."""
    patched = (resource for resource in RESOURCES if "patch" in resource.verbs)
    return b"".join(_bytes(2, _named(resource.path("{namespace}", "{name}"), _item(resource))) for resource in patched)


def _item(resource: Resource) -> bytes:
    """The message PathItem, with the operation PATCH and its parameter dryRun."""
    query = _string(2, "query") + _string(4, "dryRun") + _string(6, "string")
    parameter = _bytes(8, _bytes(1, _bytes(2, _bytes(3, query))))
    gvk = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    extension = _named("x-kubernetes-group-version-kind", _string(2, orjson.dumps(gvk).decode()))
    return _bytes(8, parameter + _bytes(13, extension))


def _schema(schema: Object) -> bytes:
    """The message Schema."""
    parts = []
    if "$ref" in schema:
        parts.append(_string(1, REFERENCE + schema["$ref"]))
    if schema.get("format"):
        parts.append(_string(2, schema["format"]))
    if schema.get("description"):
        parts.append(_string(4, schema["description"]))
    parts += [_string(19, name) for name in schema.get("required", ())]
    if "additionalProperties" in schema:
        parts.append(_bytes(21, _bytes(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_bytes(22, _string(1, schema["type"])))
    if "items" in schema:
        parts.append(_bytes(23, _bytes(1, _schema(schema["items"]))))
    if "properties" in schema:
        properties = schema["properties"].items()
        parts.append(_bytes(25, b"".join(_bytes(1, _named(name, _schema(value))) for name, value in properties)))
    extensions = ((key, value) for key, value in schema.items() if key.startswith("x-"))
    parts += [_bytes(31, _named(key, _string(2, orjson.dumps(value).decode()))) for key, value in extensions]
    return b"".join(parts)


def _named(name: str, value: bytes) -> bytes:
    """NamedSchema and NamedAny look the same."""
    return _string(1, name) + _bytes(2, value)


def _string(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, data: bytes) -> bytes:
    """A length-delimited field."""
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
