"""The types of the API, from the vendored schema: which fields there are, of what type, and how patches merge them.

`schema-v1.33.json.gz` is upstream's api/openapi-spec/swagger.json for the kinds that are served (tools/vendor_schema.py
writes it). Types are built when first asked for, without the descriptions; those are read again for OpenAPI only.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

import orjson

FILE = "schema-v1.33.json.gz"


@dataclass(slots=True, eq=False, repr=False)
class Type:
    """A field's type.

    `form` is struct, map, list, string, integer, number, boolean, int-or-string, quantity, bytes, or any.
    """

    form: str
    name: str = ""  # of a struct: its definition
    go: str = ""  # the Go type that upstream's error messages name
    fields: dict[str, Type] = field(default_factory=dict)  # of a struct
    required: frozenset[str] = frozenset()  # of a struct
    element: Type | None = None  # of a list or map
    merge_key: str = ""  # strategic merge patch: the key of a list that is merged
    strategies: frozenset[str] = frozenset()  # "merge", "replace", "retainKeys"
    list_type: str = ""  # server-side apply: atomic, set, map
    map_keys: tuple[str, ...] = ()
    atomic: bool = False  # server-side apply: a struct or map with one owner


ANY = Type("any")


def definitions() -> dict[str, Any]:
    """The vendored file, decoded afresh: a few megabytes, so the caller keeps what it needs and drops the rest."""
    return orjson.loads(gzip.decompress(resources.files(__package__).joinpath(FILE).read_bytes()))


def bare(node: Any) -> Any:
    """A definition without its descriptions (a property may itself be called `description`)."""
    if isinstance(node, list):
        return [bare(item) for item in node]
    if isinstance(node, dict):
        return {key: bare(value) for key, value in node.items() if key != "description" or not isinstance(value, str)}
    return node


class Types:
    """All types, built on demand from the definitions."""

    def __init__(self, source: dict[str, Any]) -> None:
        self._source = {name: bare(schema) for name, schema in source.items()}
        self._built: dict[str, Type] = {}
        self._by_kind: dict[tuple[str, str], str] = {}
        for name, schema in self._source.items():
            for gvk in schema.get("x-kubernetes-group-version-kind", ()):
                version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
                self._by_kind[version, gvk["kind"]] = name

    def of_kind(self, api_version: str, kind: str) -> Type:
        """The struct of a kind. KeyError where the kind is not in the schema."""
        return self.named(self._by_kind[api_version, kind])

    def named(self, name: str) -> Type:
        """The type of a definition, such as `io.k8s.api.core.v1.PodSpec`."""
        built = self._built.get(name)
        if built is None:
            schema = self._source[name]
            if "properties" not in schema:
                built = self._build(schema)
            else:
                built = Type("struct", name=name, go="v1." + name.rpartition(".")[2])
                built.required = frozenset(schema.get("required", ()))
                built.atomic = schema.get("x-kubernetes-map-type") == "atomic"
            self._built[name] = built
            for key, value in schema.get("properties", {}).items():
                built.fields[key] = self._build(value)
        return built

    def _build(self, schema: dict[str, Any]) -> Type:
        if "$ref" in schema:
            named = self.named(schema["$ref"])
            strategy = schema.get("x-kubernetes-patch-strategy")
            return replace(named, strategies=frozenset(strategy.split(","))) if strategy else named
        build: Callable[[dict[str, Any]], Type] = _FORMS.get(schema.get("type", ""), _any)
        result = build(schema)
        inner = schema.get("items") or schema.get("additionalProperties")
        if inner:
            result.element = self._build(inner)
            result.go = ("[]" if result.form == "list" else "map[string]") + result.element.go
        return result


def _list(schema: dict[str, Any]) -> Type:
    return Type(
        "list",
        merge_key=schema.get("x-kubernetes-patch-merge-key", ""),
        strategies=frozenset(filter(None, schema.get("x-kubernetes-patch-strategy", "").split(","))),
        list_type=schema.get("x-kubernetes-list-type", ""),
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys", ())),
    )


def _object(schema: dict[str, Any]) -> Type:
    if "additionalProperties" not in schema:
        return ANY
    return Type("map", atomic=schema.get("x-kubernetes-map-type") == "atomic")


def _any(_: dict[str, Any]) -> Type:
    return ANY


_STRINGS = {"int-or-string": "int-or-string", "quantity": "quantity", "byte": "bytes"}
_FORMS: dict[str, Callable[[dict[str, Any]], Type]] = {
    "array": _list,
    "object": _object,
    "string": lambda s: Type(_STRINGS.get(s.get("format", ""), "string"), go="string"),
    "integer": lambda s: Type("integer", go="int32" if s.get("format") == "int32" else "int64"),
    "number": lambda _: Type("number", go="float64"),
    "boolean": lambda _: Type("boolean", go="bool"),
}


@cache
def types() -> Types:
    return Types(definitions())
