"""Discovery: which groups, versions and resources there are, aggregated and one by one; and /version.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/discovery and api/apidiscovery/v2. kubectl asks for the aggregated
form and falls back to the plain one.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from aiohttp import web

from kubelab.cluster.apiserver import errors
from kubelab.cluster.resources import DISCOVERED, Resource, Subresource
from kubelab.cluster.version import GIT_VERSION

Object = dict[str, Any]
_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
VERSION = {
    "major": "1",
    "minor": "33",
    "gitVersion": GIT_VERSION,
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": f"python{platform.python_version()}",
    "platform": f"{platform.system().lower()}/{_MACHINE}",
}


def respond(request: web.Request, port: int, other_paths: Sequence[str]) -> web.Response:
    """The discovery document of a path; that of `/` lists `other_paths`, too. Raises 404."""
    path = request.path.rstrip("/")
    if path == "":
        paths = {"/api", "/api/v1", "/apis", "/version", *_group_paths(), *other_paths}
        return web.json_response({"paths": sorted(paths)})
    if path in ("/api", "/apis"):
        version = _aggregated_version(request.headers.get("Accept", ""))
        if version:
            return _aggregated_response(request, path == "/api", version)
    document = _document(path, port)
    if document is None:
        raise errors.no_such_path()
    return web.Response(body=orjson.dumps(document), content_type="application/json")


def _document(path: str, port: int) -> Object | None:
    parts = path.strip("/").split("/")
    if path == "/api":
        address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": f"127.0.0.1:{port}"}]
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}
    if path == "/apis":
        groups = [_group(group) for group in _groups() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in _groups():
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1])}
    if parts[0] == "api" and len(parts) == 2:
        return _resource_list("", parts[1])
    return _resource_list(parts[1], parts[2]) if parts[0] == "apis" and len(parts) == 3 else None


def _groups() -> dict[str, list[str]]:
    """Group -> its versions."""
    found: dict[str, list[str]] = {}
    for resource in DISCOVERED:
        versions = found.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    return found


def _group_paths() -> list[str]:
    return [path for g, vs in _groups().items() if g for path in (f"/apis/{g}", *(f"/apis/{g}/{v}" for v in vs))]


def _group(group: str) -> Object:
    versions = [{"groupVersion": f"{group}/{v}", "version": v} for v in _groups()[group]]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str) -> Object | None:
    served = [r for r in DISCOVERED if (r.group, r.version) == (group, version)]
    if not served:
        return None
    entries = [entry for r in served for entry in (_entry(r), *(_sub_entry(r, sub) for sub in r.subresources))]
    entries.sort(key=lambda entry: entry["name"])
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _entry(r: Resource) -> Object:
    entry: Object = {
        "name": r.plural,
        "singularName": r.singular,
        "namespaced": r.namespaced,
        "kind": r.kind,
        "verbs": list(r.verbs),
    }
    if r.short_names:
        entry["shortNames"] = list(r.short_names)
    if r.categories:
        entry["categories"] = list(r.categories)
    entry["storageVersionHash"] = hashlib.sha256(f"{r.api_version}/{r.kind}".encode()).hexdigest()[:12]
    return entry


def _sub_entry(r: Resource, sub: Subresource) -> Object:
    entry: Object = {"name": f"{r.plural}/{sub.name}", "singularName": "", "namespaced": r.namespaced}
    if sub.group:
        entry |= {"group": sub.group, "version": sub.version}
    return entry | {"kind": sub.kind or r.kind, "verbs": list(sub.verbs)}


# -- aggregated


def _aggregated_version(accept: str) -> str:
    """v2 or v2beta1, whichever the client names first; "" where it wants the plain documents."""
    for clause in accept.split(","):
        for version in ("v2", "v2beta1"):
            parameters = {part.strip() for part in clause.split(";")[1:]}
            if {"g=apidiscovery.k8s.io", f"v={version}", "as=APIGroupDiscoveryList"} <= parameters:
                return version
    return ""


def _aggregated_response(request: web.Request, core: bool, version: str) -> web.Response:
    body = _aggregated(core, version)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "public"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    media = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    return web.Response(body=body, headers={"Content-Type": media, **headers})


@cache
def _aggregated(core: bool, version: str) -> bytes:
    groups = [group for group in _groups() if (group == "") is core]
    items = []
    for group in groups:
        meta = {"name": group, "creationTimestamp": None} if group else {"creationTimestamp": None}
        versions = [
            {
                "version": v,
                "resources": [_aggregated_entry(r) for r in DISCOVERED if (r.group, r.version) == (group, v)],
                "freshness": "Current",
            }
            for v in _groups()[group]
        ]
        items.append({"metadata": meta, "versions": versions})
    head = {"kind": "APIGroupDiscoveryList", "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}}
    return orjson.dumps({**head, "items": items})


def _aggregated_entry(r: Resource) -> Object:
    entry: Object = {
        "resource": r.plural,
        "responseKind": {"group": r.group, "version": r.version, "kind": r.kind},
        "scope": "Namespaced" if r.namespaced else "Cluster",
        "singularResource": r.singular,
        "verbs": list(r.verbs),
    }
    if r.short_names:
        entry["shortNames"] = list(r.short_names)
    if r.categories:
        entry["categories"] = list(r.categories)
    if r.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group if sub.kind else r.group,
                    "version": (sub.version or "v1") if sub.kind else r.version,
                    "kind": sub.kind or r.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in r.subresources
        ]
    return entry
