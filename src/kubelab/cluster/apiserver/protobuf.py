"""Request bodies in protobuf, which kubectl sends for `create deployment`, `create namespace` and others.

Upstream: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf (the envelope `k8s\\0` + Unknown) and the
kinds' generated.proto. Answers stay JSON, which every client accepts. Field numbers: tools/vendor_protobuf.py.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import orjson

from kubelab.cluster.apiserver.schema import ANY, Type, types

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\0"
FILE = "protobuf-v1.json.gz"
API_MACHINERY = "k8s.io.apimachinery.pkg."

# Numbers and flags that are no pointers in Go: on the wire even when nobody set them, in JSON only when not zero.
PLAIN = frozenset(
    {
        *("generation", "healthCheckNodePort", "hostIPC", "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds"),
        *("minReadySeconds", "nodePort", "paused", "publishNotReadyAddresses", "readOnly", "stdin", "stdinOnce", "tty"),
        "unschedulable",
    }
)

Object = dict[str, Any]


class ProtobufError(ValueError):
    """Not what the envelope or the message says it is."""


def decode(body: bytes) -> Object:
    """The object in a request's body, as its JSON would be. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(fields(body[len(MAGIC) :]))
        meta = {number: value.decode() for number, value in fields(envelope.get(1, b""))}
        version, kind = meta.get(1, ""), meta.get(2, "")
        message = message_of(version, kind)
        struct = types().of_kind("v1" if kind == "DeleteOptions" else version, kind)
        return {"apiVersion": version, "kind": kind, **_message(envelope.get(2, b""), message, struct)}
    except (IndexError, KeyError, UnicodeDecodeError, AttributeError, TypeError) as error:
        raise ProtobufError(f"the protobuf message cannot be read: {type(error).__name__}: {error}") from None


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """A message's fields as they come: (number, integer or bytes)."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("a field is longer than its message")
            yield number, data[at : at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[wire]
            yield number, data[at : at + size]
            at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


@cache
def _messages() -> dict[str, dict[str, list[Any]]]:
    """Message -> field number -> [name, type, repeated]."""
    return orjson.loads(gzip.decompress(resources.files(__package__).joinpath(FILE).read_bytes()))


def message_of(api_version: str, kind: str) -> str:
    """The full name of a kind's message: `k8s.io.api.core.v1.Pod`."""
    if kind == "DeleteOptions":
        return API_MACHINERY + "apis.meta.v1.DeleteOptions"
    group, _, version = api_version.rpartition("/")
    return f"k8s.io.api.{group.partition('.')[0] or 'core'}.{version}.{kind}"


def _message(data: bytes, name: str, kind: Type) -> Object:
    """A message as a JSON object. What Go embeds is a message of its own here and part of its parent in JSON."""
    description = _messages()[name]
    result: Object = {}
    for number, raw in fields(data):
        known = description.get(str(number))
        if known is None:
            continue
        field, form, repeated = known
        if kind.form == "struct" and field not in kind.fields:
            result |= _message(raw, form, kind)
        elif form.endswith("Entry") and form.startswith(name):
            result.setdefault(field, {}).update(_entry(raw, form, kind.fields.get(field, ANY)))
        else:
            of_field = kind.fields.get(field, ANY)
            value = _value(raw, form, (of_field.element or ANY) if repeated else of_field)
            if repeated:
                result.setdefault(field, []).append(value)
            elif value not in (None, "") and (value or field not in PLAIN):
                result[field] = value
    return result


def _entry(raw: bytes, form: str, kind: Type) -> Object:
    """One pair of a map."""
    pair = dict(fields(raw))
    value = _value(pair.get(2, b""), _messages()[form]["2"][1], kind.element or ANY)
    return {pair.get(1, b"").decode(): value}


def _value(raw: Any, form: str, kind: Type) -> Any:
    if form == "string":
        return raw.decode()
    if form == "bytes":
        return base64.b64encode(raw).decode()
    if form == "bool":
        return bool(raw)
    if form == "varint":
        return raw - (1 << 64) if raw >= 1 << 63 else raw
    special = _SPECIAL.get(form)
    return special(dict(fields(raw))) if special else _message(raw, form, kind)


def _time(message: dict[int, Any], digits: str) -> str | None:
    if not message.get(1):
        return None
    moment = datetime.fromtimestamp(message[1], UTC).replace(microsecond=message.get(2, 0) // 1000)
    return moment.isoformat(timespec=digits).replace("+00:00", "Z")


def _int_or_string(message: dict[int, Any]) -> Any:
    return message.get(3, b"").decode() if message.get(1) else message.get(2, 0)


_SPECIAL: dict[str, Any] = {
    API_MACHINERY + "api.resource.Quantity": lambda message: message.get(1, b"").decode(),
    API_MACHINERY + "util.intstr.IntOrString": _int_or_string,
    API_MACHINERY + "apis.meta.v1.Time": lambda message: _time(message, "seconds"),
    API_MACHINERY + "apis.meta.v1.MicroTime": lambda message: _time(message, "microseconds"),
    API_MACHINERY + "apis.meta.v1.FieldsV1": lambda message: orjson.loads(message.get(1) or b"{}"),
}
