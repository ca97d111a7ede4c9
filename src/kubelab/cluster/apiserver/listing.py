"""LIST: consistent, at a revision, or page by page with `limit` and `continue`.

Upstream: staging/src/k8s.io/apiserver/pkg/storage/etcd3/store.go (GetList) and storage/continue.go.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from dataclasses import dataclass
from typing import Any

import orjson

from kubelab.cluster.apiserver import errors, fieldselector
from kubelab.cluster.apiserver.query import ListOptions, selector
from kubelab.cluster.apiserver.registry import Registry
from kubelab.cluster.resources import Resource
from kubelab.cluster.store import CompactedError, Record

EXPIRED = "The resourceVersion for the provided list is too old."
CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    " Continuing with the provided token results in an inconsistent list - objects that were created, modified, or"
    " deleted between the time the first chunk was returned and now may show up in the list."
)
TOKEN_VERSION = "meta.k8s.io/v1"
NEWEST = -1  # a token's revision for "as things are now": the remainder of a list whose history is gone


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
        raise _expired(after) from None
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
        revision, after = _read_token(options.continue_token)
        return (current if revision < 0 else revision), after
    asked = options.resource_version
    if asked and asked > current:
        raise errors.too_large_resource_version(asked, current)
    # Before resourceVersionMatch there was, a limit made a revision an exact one: that has stayed so.
    exact = options.match == "Exact" or (not options.match and options.limit)
    return (asked, "") if exact and asked else (current, "")


def _expired(after: str) -> errors.StatusError:
    """Of a page: with a token for the rest of the list as it is now."""
    if not after:
        return errors.gone(EXPIRED)
    error = errors.gone(CONTINUE_EXPIRED)
    error.body["metadata"]["continue"] = _token(NEWEST, after)
    return error


def _token(revision: int, start: str) -> str:
    body = orjson.dumps({"v": TOKEN_VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, str]:
    """(revision, last key of the page before). Raises 400 with the words of storage/continue.go."""
    try:
        body = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, revision, start = body.get("v", ""), int(body.get("rv", 0)), body.get("start", "")
    except (binascii.Error, ValueError, AttributeError, TypeError) as error:
        raise _bad_token(f": {error}") from None
    if version != TOKEN_VERSION:
        raise _bad_token(f": server does not recognize this encoded version {version}")
    if not revision:
        raise _bad_token(f": incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
    if not start:
        raise _bad_token(f": encoded start key empty (version {TOKEN_VERSION})")
    if posixpath.normpath(f"/{start}".replace("//", "/")) != f"/{start}":
        raise _bad_token(f": {start}")
    return revision, start


def _bad_token(why: str) -> errors.StatusError:
    return errors.bad_request(f"invalid continue token: continue key is not valid{why}")
