"""Strategic merge patch: lists of objects are merged by the key that the schema names, as `kubectl apply` relies on.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go. Directives: `$patch: replace |
delete | merge`, `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`, `$retainKeys`.
"""

from __future__ import annotations

from typing import Any

from kubelab.cluster.apiserver.schema import ANY, Type

Object = dict[str, Any]
PATCH, RETAIN_KEYS = "$patch", "$retainKeys"
DELETE_FROM, ORDER = "$deleteFromPrimitiveList/", "$setElementOrder/"


class StrategicPatchError(ValueError):
    """The patch is not well-formed; the message says where."""


def strategic_merge(current: Object, patch: Object, kind: Type) -> Object:
    """`current` with the patch applied, as a new object."""
    directive = patch.get(PATCH)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise StrategicPatchError(f"Unknown patch type found: {directive}")
    result = _retain_keys(current, patch)
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            field = key.removeprefix(DELETE_FROM)
            result[field] = [item for item in result.get(field) or [] if item not in value]
        elif key not in (PATCH, RETAIN_KEYS) and not key.startswith(ORDER):
            _field(result, key, value, _type(kind, key))
    for key, order in patch.items():
        if key.startswith(ORDER):
            field = key.removeprefix(ORDER)
            if isinstance(result.get(field), list):
                result[field] = _in_order(result[field], order, _type(kind, field).merge_key)
    return result


def _type(kind: Type, key: str) -> Type:
    if kind.form == "struct":
        return kind.fields.get(key, ANY)
    return kind.element or ANY


def _retain_keys(current: Object, patch: Object) -> Object:
    retained = patch.get(RETAIN_KEYS)
    if retained is None:
        return dict(current)
    unlisted = [key for key in patch if not key.startswith("$") and key not in retained]
    if unlisted:
        raise StrategicPatchError(f"{RETAIN_KEYS} directive does not contain all the keys of the patch: {unlisted}")
    return {key: value for key, value in current.items() if key in retained}


def _field(result: Object, key: str, value: Any, kind: Type) -> None:
    """Put one field of the patch into `result`."""
    before = result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        merged = strategic_merge(before if isinstance(before, dict) else {}, value, kind)
        if value.get(PATCH) == "delete":
            result.pop(key, None)
        else:
            result[key] = merged
    elif isinstance(value, list) and "merge" in kind.strategies:
        result[key] = _list(before or [], value, kind)
    else:
        result[key] = value


def _list(current: list[Any], patch: list[Any], kind: Type) -> list[Any]:
    if not kind.merge_key:  # a list of scalars: the union
        return current + [item for i, item in enumerate(patch) if item not in current and item not in patch[:i]]
    if any(isinstance(item, dict) and item.get(PATCH) == "replace" for item in patch):
        return [item for item in patch if item.get(PATCH) != "replace"]
    result = list(current)
    for item in patch:
        _merge_item(result, item, kind)
    return result


def _merge_item(result: list[Any], item: Any, kind: Type) -> None:
    key = kind.merge_key
    if not isinstance(item, dict) or key not in item:
        raise StrategicPatchError(f"map: {item} does not contain declared merge key: {key}")
    found = next((i for i, have in enumerate(result) if have.get(key) == item[key]), None)
    if item.get(PATCH) == "delete":
        result[:] = [have for have in result if have.get(key) != item[key]]
    elif found is None:
        result.append(strategic_merge({}, item, kind.element or ANY))
    else:
        result[found] = strategic_merge(result[found], item, kind.element or ANY)


def _in_order(items: list[Any], order: list[Any], merge_key: str) -> list[Any]:
    """Items that the patch names in its order; those that only the server has keep their place."""

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    place = {identity(item): index for index, item in enumerate(order)}
    named = sorted((item for item in items if identity(item) in place), key=lambda item: place[identity(item)])
    result: list[Any] = []
    for item in items:
        if identity(item) in place:
            if named:
                result.append(named.pop(0))
        else:
            result.append(item)
    return result
