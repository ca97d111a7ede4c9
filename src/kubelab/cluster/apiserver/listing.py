"""LIST: consistent, at a revision, or page by page with `limit` and `continue`.

Upstream: staging/src/k8s.io/apiserver/pkg/storage/etcd3/store.go (GetList) and storage/continue.go.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from kubelab.cluster.apiserver import errors, fieldselector
from kubelab.cluster.apiserver.query import ListOptions, selector
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import Resource
from kubelab.cluster.store import CompactedError, Record

EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter."
)


@dataclass(frozen=True)
class Page:
    """Some of the objects, and the list's metadata (resourceVersion, continue, remainingItemCount)."""

    records: list[Record]
    meta: dict[str, Any]


def page(registry: Registry, resource: Resource, namespace: str, options: ListOptions) -> Page:
    """What a list request gets. Raises 400, 410 or 504 for revisions that cannot be served."""
    at, after = _position(registry, options)
    name = fieldselector.required_name(options.field_selector)
    prefix = registry.prefix(resource, namespace)
    try:
        records = registry.store.list(prefix, at=at)
    except CompactedError:
        raise errors.gone(EXPIRED) from None
    start = registry.prefix(resource) + after
    records = [r for r in records if (not after or r.key > start) and (not name or r.key.endswith("/" + name))]
    if options.selects:
        selected = selector(options, resource)
        records = [record for record in records if selected(record.load())]
    meta: dict[str, Any] = {"resourceVersion": str(at)}
    if options.limit and len(records) > options.limit:
        if not options.selects:
            meta["remainingItemCount"] = len(records) - options.limit
        records = records[: options.limit]
        meta["continue"] = _token(at, records[-1].key.removeprefix(registry.prefix(resource)))
    return Page(records, meta)


def _position(registry: Registry, options: ListOptions) -> tuple[int, str]:
    """The revision to list at, and the key after which this page starts."""
    current = registry.store.revision
    if options.continue_token:
        if options.resource_version:
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        return _read_token(options.continue_token)
    asked = options.resource_version
    if asked and asked > current:
        raise errors.too_large_resource_version(asked, current)
    return (asked, "") if options.match == "Exact" and asked else (current, "")


def _token(revision: int, start: str) -> str:
    body = orjson.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start})
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    try:
        body = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(body["rv"]), body["start"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise errors.bad_request("continue key is not valid: the token was not made by this server") from None
