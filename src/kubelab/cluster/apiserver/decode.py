"""From a request's JSON to an object of the API: types are checked, unknown fields found, empty values left out.

What Go's decoder does upstream: a wrong type is an error, a null is as if it were not there, an unknown field is
dropped and, by `fieldValidation`, reported (sigs.k8s.io/json, apimachinery's pkg/runtime/serializer/json).
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from kubelab.cluster import quantity
from kubelab.cluster.apiserver.schema import Type

_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


class DecodeError(ValueError):
    """A value that does not fit its field; the message is Go's."""


class Decoder:
    """Decodes one object. `unknown` holds the paths of fields that the schema does not have."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def decode(self, value: Any, kind: Type) -> dict[str, Any]:
        """The object without nulls, empty lists and empty maps, unknown fields dropped. Raises DecodeError."""
        if not isinstance(value, dict):
            raise DecodeError(f"json: cannot unmarshal {_JSON_NAMES[type(value)]} into Go value of type {kind.go}")
        return self._struct(value, kind, "")

    def _struct(self, value: dict[str, Any], kind: Type, path: str) -> dict[str, Any]:
        result = {}
        for key, item in value.items():
            field = kind.fields.get(key)
            where = f"{path}.{key}" if path else key
            if field is None:
                self.unknown.append(where)
            elif item is not None:
                decoded = self._value(item, field, where, kind)
                empty = field.form in ("list", "map") and not decoded
                if not empty or key in kind.required:
                    result[key] = decoded
        return result

    def _value(self, value: Any, kind: Type, path: str, parent: Type) -> Any:
        form = kind.form
        if form == "any":
            return value
        if not isinstance(value, _PYTHON[form]) or (isinstance(value, bool) and form != "boolean"):
            raise _mismatch(value, kind, path, parent)
        if form == "struct":
            return self._struct(value, kind, path)
        if form == "list":
            element = kind.element or kind
            items = ((i, {} if v is None and element.form == "struct" else v) for i, v in enumerate(value))
            return [self._value(item, element, f"{path}[{index}]", parent) for index, item in items]
        if form == "map":
            element = kind.element or kind
            blank = "" if element.form in ("string", "bytes") else None
            return {k: self._value(blank if v is None else v, element, f"{path}.{k}", parent) for k, v in value.items()}
        return _scalar(value, form)


_PYTHON: dict[str, Any] = {
    "struct": dict,
    "map": dict,
    "list": list,
    "string": str,
    "bytes": str,
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "int-or-string": int | str,
    "quantity": int | float | str,
}


def _scalar(value: Any, form: str) -> Any:
    if form == "quantity":
        try:
            return quantity.canonical(value)
        except quantity.QuantityError as error:
            raise DecodeError(str(error)) from None
    if form == "bytes":
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error:
            raise DecodeError(f"illegal base64 data at input byte {_first_illegal(value)}") from None
    return value


def _first_illegal(text: str) -> int:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/\r\n")
    return next((i for i, letter in enumerate(text) if letter not in alphabet), len(text) - len(text) % 4)


def _mismatch(value: Any, kind: Type, path: str, parent: Type) -> DecodeError:
    field = f"{parent.go.rpartition('.')[2]}.{_without_indices(path)}"
    found = _JSON_NAMES.get(type(value), "null")
    if found == "number" and kind.form == "integer":
        found = f"number {value}"
    return DecodeError(f"json: cannot unmarshal {found} into Go struct field {field} of type {kind.go}")


def _without_indices(path: str) -> str:
    return ".".join(part.partition("[")[0] for part in path.split("."))
