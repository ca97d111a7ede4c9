"""OpenAPI v3, one document a group and version: what kubectl checks manifests by, and what `kubectl explain` shows.

Upstream: k8s.io/kube-openapi, pkg/handler3. Each path says what kubectl looks for: a PATCH with the kind, the
`fieldValidation` parameter and the strategic merge patch's media type.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from kubelab.cluster.apiserver import errors, openapi_v2, patch
from kubelab.cluster.apiserver.metrics import schema as metrics
from kubelab.cluster.apiserver.schema import definitions
from kubelab.cluster.resources import DISCOVERED, Resource
from kubelab.cluster.version import GIT_VERSION

Object = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
IMMUTABLE = {"Cache-Control": "public, immutable", "Expires": "Fri, 01 Jan 2100 00:00:00 GMT", "Vary": "Accept"}
OPERATIONS = {"create": "post", "get": "get", "list": "get", "update": "put", "patch": "patch", "delete": "delete"}


def respond(request: web.Request) -> web.Response:
    """/openapi/v3, its documents, and /openapi/v2. Raises 404 and 406."""
    path = request.path.removeprefix("/openapi/")
    if path == "v2":
        return openapi_v2.respond(request)
    if path == "v3":
        return web.json_response({"paths": {name: {"serverRelativeURL": _url(name)} for name in _group_versions()}})
    name = path.removeprefix("v3/")
    if not path.startswith("v3/") or name not in _group_versions():
        raise errors.no_such_path()
    body = _document(name)
    headers = {"ETag": f'"{_hash(name)}"', "Content-Encoding": "gzip", **IMMUTABLE}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    if "gzip" not in request.headers.get("Accept-Encoding", ""):
        del headers["Content-Encoding"]
        body = gzip.decompress(body)
    return web.Response(body=body, content_type="application/json", headers=headers)


def paths() -> list[str]:
    """All that `respond` knows."""
    return ["/openapi/v2", "/openapi/v3", *(f"/openapi/v3/{name}" for name in _group_versions())]


def _group_versions() -> list[str]:
    return sorted({_name(r) for r in DISCOVERED})


def _name(r: Resource) -> str:
    return f"apis/{r.group}/{r.version}" if r.group else f"api/{r.version}"


def _url(name: str) -> str:
    return f"/openapi/v3/{name}?hash={_hash(name)}"


@cache
def _hash(name: str) -> str:
    return hashlib.sha256(_document(name)).hexdigest()[:32].upper()


@cache
def _document(name: str) -> bytes:
    """The gzipped document; it is made once, and only its compressed form is kept."""
    source = definitions() | metrics.definitions()
    served = [r for r in DISCOVERED if _name(r) == name]
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": {path: item for r in served for path, item in _paths(r, source).items()},
        "components": {"schemas": _schemas(served, source)},
    }
    return gzip.compress(orjson.dumps(document), 6, mtime=0)


def _kind_name(r: Resource, kind: str, source: Object) -> str:
    wanted = {"group": r.group, "version": r.version, "kind": kind}
    return next(name for name, s in source.items() if wanted in s.get("x-kubernetes-group-version-kind", ()))


def _schemas(served: list[Resource], source: Object) -> Object:
    """The definitions that the served kinds reach, references pointing into this document."""
    todo = [_kind_name(r, kind, source) for r in served for kind in r.kinds]
    todo += [META + "DeleteOptions", META + "Status"]
    found: Object = {}
    while todo:
        name = todo.pop()
        if name not in found:
            reached: list[str] = []
            found[name] = _linked(source[name], reached)
            todo += reached
    return dict(sorted(found.items()))


def _linked(node: Any, reached: list[str]) -> Any:
    """The definition with v3's references. Beside a `$ref` OpenAPI 3.0 allows nothing, so it moves into `allOf`."""
    if isinstance(node, list):
        return [_linked(item, reached) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: _linked(value, reached) for key, value in node.items() if key != "$ref" or isinstance(value, dict)}
    target = node.get("$ref")
    if isinstance(target, str):
        reached.append(target)
        link = {"$ref": f"#/components/schemas/{target}"}
        return {**result, "allOf": [link]} if result else link
    if result.get("format") in ("int-or-string", "quantity"):
        numeric = "integer" if result["format"] == "int-or-string" else "number"
        return {"oneOf": [{"type": "string"}, {"type": numeric}]}
    return result


def _paths(r: Resource, source: Object) -> Object:
    name = _kind_name(r, r.kind, source)
    collection = r.path("{namespace}")
    if "list" not in r.verbs:
        return {collection: _item(r, ("create",), name)}
    paths = {
        collection: _item(r, ("list", "create"), name),
        r.path("{namespace}", "{name}"): _item(r, ("get", "update", "patch", "delete"), name),
    }
    for sub in r.subresources:
        if sub.name == "status":
            paths[r.path("{namespace}", "{name}", "status")] = _item(r, ("get", "update", "patch"), name)
    return paths


def _item(r: Resource, verbs: tuple[str, ...], name: str) -> Object:
    return {OPERATIONS[verb]: _operation(r, verb, name) for verb in verbs if verb in r.verbs}


def _operation(r: Resource, verb: str, name: str) -> Object:
    schema = {"$ref": f"#/components/schemas/{name}"}
    content = {"application/json": {"schema": schema}}
    operation: Object = {
        "operationId": f"{verb}{r.group.partition('.')[0].title() or 'Core'}{r.version.upper()}{r.kind}",
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": {"group": r.group, "version": r.version, "kind": r.kind},
        "parameters": [_parameter("pretty")],
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if verb in ("create", "update", "patch"):
        operation["parameters"] += [_parameter(p) for p in ("dryRun", "fieldManager", "fieldValidation")]
        media = patch.MEDIA_TYPES if verb == "patch" else ("application/json", "application/yaml")
        operation["requestBody"] = {"required": True, "content": {m: {"schema": schema} for m in media}}
    return operation


def _parameter(name: str) -> Object:
    return {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
