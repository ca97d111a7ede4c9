"""Objects as the client wants to see them: as they are, as a Table, or only their metadata.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/response.go; the Accept header's `as`, `g` and `v`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from kubelab.cluster.apiserver import columns, errors
from kubelab.cluster.resources import Resource

Object = dict[str, Any]
PLAIN, TABLE, METADATA = "", "Table", "PartialObjectMetadata"
ACCEPTED = ("*", "*/*", "application/*", "application/json", "application/yaml")


def negotiate(accept: str) -> str:
    """Which form an Accept header prefers. Raises 406 where JSON is none of it."""
    for clause in (accept or "*/*").split(","):
        media, *parameters = [part.strip() for part in clause.split(";")]
        given = dict(parameter.partition("=")[::2] for parameter in parameters)
        wanted = given.get("as", "").removesuffix("List")
        if media not in ACCEPTED:
            continue
        if not wanted:
            return PLAIN
        if wanted in (TABLE, METADATA) and given.get("g") == "meta.k8s.io" and given.get("v") == "v1":
            return wanted
    raise errors.not_acceptable(("application/json",))


class Renderer:
    """Renders objects of one kind. `include` is the Table's includeObject: None, Metadata or Object.

    `now` gives seconds since the epoch, for the ages in a Table.
    """

    def __init__(
        self,
        resource: Resource,
        form: str,
        include: str,
        now: Callable[[], float],
        convert: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """`convert`: from the stored version to the one that was asked for; Tables are made from the stored one."""
        self.resource, self.form, self.include, self.now = resource, form, include or "Metadata", now
        self._convert = convert
        self._columns_sent = False

    def one(self, value: bytes) -> bytes:
        """An object's JSON in the form that was asked for."""
        if self.form == PLAIN:
            return self._convert(value) if self._convert else value
        obj = orjson.loads(value)
        if self.form == METADATA:
            return orjson.dumps(_partial(obj))
        return orjson.dumps(self._table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")}))

    def many(self, values: list[bytes], meta: Object) -> bytes:
        """A list."""
        if self.form == TABLE:
            return orjson.dumps(self._table([orjson.loads(value) for value in values], meta))
        kind, version = self.resource.list_kind, self.resource.api_version
        if self.form == METADATA:
            kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
            values = [orjson.dumps(_partial(orjson.loads(value))) for value in values]
        elif self._convert:
            values = [self._convert(value) for value in values]
        head = orjson.dumps({"kind": kind, "apiVersion": version, "metadata": meta})
        return head[:-1] + b',"items":[' + b",".join(values) + b"]}"

    def _table(self, objects: list[Object], meta: Object) -> Object:
        """In a watch only the first Table names the columns."""
        definitions = [] if self._columns_sent else columns.definitions(self.resource)
        self._columns_sent = True
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": meta,
            "columnDefinitions": definitions,
            "rows": [self._row(obj) for obj in objects],
        }

    def _row(self, obj: Object) -> Object:
        row: Object = {"cells": columns.cells(self.resource, obj, self.now())}
        if self.include == "Object":
            row["object"] = obj
        elif self.include == "Metadata":
            row["object"] = _partial(obj)
        return row


def _partial(obj: Object) -> Object:
    return {"kind": METADATA, "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
