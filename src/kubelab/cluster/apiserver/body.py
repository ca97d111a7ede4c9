"""Request bodies: JSON, YAML or protobuf to an object of the kind that the path asks for, under `fieldValidation`.

Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/create.go and apimachinery's strict decoding errors.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from kubelab.cluster.apiserver import errors, protobuf
from kubelab.cluster.apiserver.decode import DecodeError, Decoder
from kubelab.cluster.apiserver.schema import types

JSON, YAML = "application/json", "application/yaml"
FIELD_VALIDATION = ("", "Ignore", "Warn", "Strict")


def parse(body: bytes, content_type: str) -> Any:
    """Bytes to plain data. Raises 400 for what cannot be read and 415 for other content types."""
    media = content_type.partition(";")[0].strip().lower() or JSON
    if media == JSON or media.endswith("+json"):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise errors.bad_request(f"error decoding JSON: {error}") from None
    if media == YAML or media.endswith("+yaml"):
        return _yaml(body)
    if media == protobuf.MEDIA_TYPE:
        try:
            return protobuf.decode(body)
        except protobuf.ProtobufError as error:
            raise errors.bad_request(str(error)) from None
    raise errors.unsupported_media_type((JSON, YAML, protobuf.MEDIA_TYPE))


def _yaml(body: bytes) -> Any:
    import yaml  # only when needed: it costs memory that few requests are worth

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        """Dates stay strings, as in JSON."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in Loader.yaml_implicit_resolvers.items()
    }
    try:
        return yaml.load(body, Loader)
    except yaml.YAMLError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None


def to_object(
    data: Any, api_version: str, kind: str, *, field_validation: str, warn: list[str], body: bytes = b""
) -> dict[str, Any]:
    """`data` as an object of this kind. Unknown and duplicate fields are an error, a warning or nothing, as asked.

    apiVersion and kind may be left out where the path says them; others than the path's are refused.
    """
    if field_validation not in FIELD_VALIDATION:
        raise errors.bad_request(
            f"fieldValidation: Unsupported value: {json.dumps(field_validation)}: supported values:"
            ' "Ignore", "Strict", "Warn"'
        )
    if not isinstance(data, dict):
        raise errors.bad_request(f'couldn\'t get version/kind; json parse error: expected an object of kind "{kind}"')
    found = (data.get("apiVersion") or api_version, data.get("kind") or kind)
    if found != (api_version, kind):
        raise errors.bad_request(_wrong_kind(found, (api_version, kind)))
    decoder = Decoder()
    version = api_version.rpartition("/")[2]
    try:
        obj = decoder.decode(data, types().of_kind(api_version, kind))
    except DecodeError as error:
        raise errors.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    if field_validation != "Ignore":
        _report(decoder.unknown, duplicates(body), field_validation, f'{kind} in version "{version}"', kind, warn)
    return {**obj, "apiVersion": api_version, "kind": kind}


def _report(unknown: list[str], twice: list[str], mode: str, what: str, kind: str, warn: list[str]) -> None:
    problems = [f"unknown field {json.dumps(path)}" for path in unknown]
    problems += [f"duplicate field {json.dumps(path)}" for path in twice]
    if problems and mode == "Strict":
        text = ", ".join(problems)
        raise errors.bad_request(f"{what} cannot be handled as a {kind}: strict decoding error: {text}")
    warn.extend(problems)


def duplicates(body: bytes) -> list[str]:
    """The paths of keys that a JSON text has twice in one object."""
    if not body.startswith(b"{"):
        return []
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            found.append("")
        return result

    json.loads(body, object_pairs_hook=pairs)
    return _duplicate_paths(body) if found else []


def _duplicate_paths(body: bytes) -> list[str]:
    """The slow way, once it is known that there is something to find: objects stay lists of pairs."""
    found: list[str] = []

    def walk(node: Any, path: str) -> None:
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            for key, value in node:
                where = f"{path}.{key}" if path else key
                if key in seen:
                    found.append(where)
                seen.add(key)
                walk(value, where)
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{path}[{index}]")

    walk(json.loads(body, object_pairs_hook=_Pairs), "")
    return found


class _Pairs(list[tuple[str, Any]]):
    """A JSON object, told from a JSON array by its class."""


def _wrong_kind(found: tuple[str, str], expected: tuple[str, str]) -> str:
    if found[0] != expected[0]:
        return f"the API version in the data ({found[0]}) does not match the expected API version ({expected[0]})"
    return f"the kind in the data ({found[1]}) does not match the expected kind ({expected[1]})"
