"""Server-side apply: a manager says which fields it wants, and gives up those it no longer names.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/managedfields and sigs.k8s.io/structured-merge-diff (merge/update.go,
Apply). It conflicts with everybody who has a field with another value: other appliers, and whoever changed it by an
ordinary write (`managedfields.py`).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.apiserver import errors, fieldset, managedfields
from kubelab.cluster.apiserver.fieldset import Path
from kubelab.cluster.apiserver.managedfields import APPLY, Entry, Manager
from kubelab.cluster.apiserver.schema import ANY, Type

Object = dict[str, Any]
# What names an object is nobody's field.
NOT_OWNED: set[Path] = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}


@dataclass(frozen=True)
class Applied:
    """The new object, managedFields included, and whose fields it sets to something else: manager -> paths."""

    obj: Object
    conflicts: dict[Manager, set[Path]]


def apply(current: Object | None, config: Object, kind: Type, manager: str, now: str, subresource: str = "") -> Applied:
    """`current` (None: a new object) with `config` applied by `manager`. Whether a conflict matters is the caller's."""
    if (config.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    wanted = fieldset.of(config, kind) - NOT_OWNED
    result: Object = copy.deepcopy(current) if current is not None else {"metadata": {}}
    owners = managedfields.read(result["metadata"].pop("managedFields", []))
    mine = next((k for k in owners if (k.name, k.operation, k.subresource) == (manager, APPLY, subresource)), None)
    before = owners.pop(mine) if mine is not None else Entry(set(), now)
    contested = {path for path in wanted if _differs(result, config, path, kind)}
    conflicts = {key: entry.paths & contested for key, entry in owners.items() if entry.paths & contested}
    _give_up(result, before.paths - wanted, wanted.union(*(entry.paths for entry in owners.values())), kind)
    result = merge(result, config, kind)
    for entry in owners.values():
        entry.paths -= contested
    key = Manager(manager, APPLY, config.get("apiVersion", ""), subresource)
    # Nothing new: the time stays, and an apply without effect changes nothing.
    owners[key] = before if mine == key and before.paths == wanted else Entry(wanted, now)
    result["metadata"]["managedFields"] = managedfields.write(owners)
    return Applied(result, conflicts)


def _give_up(obj: Object, unnamed: set[Path], owned: set[Path], kind: Type) -> None:
    """Remove what its manager no longer names, unless somebody has it, or something in it. A list's item goes whole."""
    for path in sorted(unnamed, key=len):
        if not any(other[: len(path)] == path for other in owned):
            fieldset.remove(obj, path, kind)


def conflict(conflicts: dict[Manager, set[Path]]) -> errors.StatusError:
    """409, naming every field and whose it is (managedfields/internal/conflict.go)."""
    found = [(str(key), sorted(map(fieldset.text, conflicts[key]))) for key in sorted(conflicts, key=str)]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": field}
        for who, fields in found
        for field in fields
    ]
    words = f"conflict with {found[0][0]}: {found[0][1][0]}"
    if len(causes) > 1:
        lines = [line for who, fields in found for line in (f"conflicts with {who}:", *(f"- {f}" for f in fields))]
        words = "\n".join(lines)
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    return errors.StatusError(409, "Conflict", f"Apply failed with {count}: {words}", {"causes": causes})


def merge(current: Any, config: Any, kind: Type) -> Any:
    """The configuration laid over the object: structs and maps by field, lists by their keys, the rest replaced."""
    if isinstance(config, dict) and isinstance(current, dict) and kind.form in ("struct", "map") and not kind.atomic:
        return current | {
            key: merge(current.get(key), value, fieldset.inner(kind, key)) for key, value in config.items()
        }
    if isinstance(config, list) and isinstance(current, list) and kind.list_type == "set":
        return current + [item for item in config if item not in current]
    if isinstance(config, list) and isinstance(current, list) and kind.list_type == "map":
        return _merge_items(current, config, kind)
    return config


def _merge_items(current: list[Any], config: list[Any], kind: Type) -> list[Any]:
    result = {fieldset.key_of(item, kind): item for item in current}
    for item in config:
        key = fieldset.key_of(item, kind)
        result[key] = merge(result[key], item, kind.element or ANY) if key in result else item
    return list(result.values())


def _differs(current: Object, config: Object, path: Path, kind: Type) -> bool:
    if path[-1].startswith("k:"):
        return False  # both want the item; what is in it are fields of their own
    return fieldset.find(current, path, kind) != fieldset.find(config, path, kind)
