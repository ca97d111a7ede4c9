"""managedFields: who set which field last, noted at every write.

Upstream: apimachinery's pkg/util/managedfields and sigs.k8s.io/structured-merge-diff (merge/update.go). An ordinary
write takes over what it changes and drops what it removes, from every other manager; nobody can refuse it. A
server-side apply (`apply.py`) asks first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.apiserver import fieldset
from kubelab.cluster.apiserver.fieldset import Path
from kubelab.cluster.apiserver.schema import ANY, Type

Object = dict[str, Any]
APPLY, UPDATE = "Apply", "Update"
# What names an object, and what the system keeps, is nobody's field.
_META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "selfLink", "managedFields")
_META_LATER = ("deletionTimestamp", "deletionGracePeriodSeconds")
# Structs that are values in Go: an empty object, with which upstream compares a new one, has them. So nobody owns them.
VALUES = frozenset({"metadata", "spec", "status", "strategy", "resources", "updateStrategy", "template", "jobTemplate"})


@dataclass(frozen=True)
class Manager:
    """What tells one entry from another."""

    name: str
    operation: str = UPDATE
    api_version: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """As a conflict names it."""
        where = f' with subresource "{self.subresource}"' if self.subresource else ""
        return f'"{self.name}"{where}' + (f" using {self.api_version}" if self.operation == UPDATE else "")


@dataclass
class Entry:
    paths: set[Path]
    time: str


Owners = dict[Manager, Entry]


def read(entries: Iterable[Object]) -> Owners:
    found: Owners = {}
    for entry in entries:
        key = Manager(
            entry.get("manager", ""),
            entry.get("operation", APPLY),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        found[key] = Entry(fieldset.from_fields_v1(entry.get("fieldsV1") or {}), entry.get("time", ""))
    return found


def write(owners: Owners) -> list[Object]:
    """Upstream's order: appliers first, then by time and name."""

    def order(item: tuple[Manager, Entry]) -> tuple[str, ...]:
        key, entry = item
        return key.operation, entry.time, key.name, key.api_version, key.subresource

    return [_entry(key, entry) for key, entry in sorted(owners.items(), key=order) if entry.paths]


def _entry(key: Manager, entry: Entry) -> Object:
    made: Object = {"manager": key.name, "operation": key.operation, "apiVersion": key.api_version}
    made |= {"time": entry.time, "fieldsType": "FieldsV1", "fieldsV1": fieldset.to_fields_v1(entry.paths)}
    return made | ({"subresource": key.subresource} if key.subresource else {})


def track(obj: Object, old: Object | None, kind: Type, key: Manager, now: str) -> None:
    """Note in `obj` what `key` has changed since `old` (None: everything)."""
    changed, removed = difference(old or {}, obj, kind)
    before = ((old or {}).get("metadata") or {}).get("managedFields") or []
    if not changed and not removed:
        _set(obj, before)
        return
    owners = read(before)
    for entry in owners.values():
        entry.paths = {path for path in entry.paths - changed if not _within(path, removed)}
    mine = owners.setdefault(key, Entry(set(), now))
    mine.paths |= changed
    if changed:
        mine.time = now
    _set(obj, write(owners))


def _within(path: Path, roots: set[Path]) -> bool:
    return bool(roots) and any(path[:length] in roots for length in range(1, len(path) + 1))


def _set(obj: Object, entries: list[Object]) -> None:
    if entries:
        obj["metadata"]["managedFields"] = entries
    else:
        obj["metadata"].pop("managedFields", None)


# -- what changed


def difference(old: Object, new: Object, kind: Type) -> tuple[set[Path], set[Path]]:
    """(the fields that are new or have another value, those that are gone with all that was in them)."""
    changed: set[Path] = set()
    removed: set[Path] = set()
    _compare(_visible(old), _visible(new), kind, (), changed, removed)
    return changed, removed


def _visible(obj: Object) -> Object:
    meta = obj.get("metadata") or {}
    shown = {key: value for key, value in meta.items() if key not in (*_META, *_META_LATER)}
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "metadata")}
    return rest | ({"metadata": shown} if shown else {})


def _compare(old: Any, new: Any, kind: Type, path: Path, changed: set[Path], removed: set[Path]) -> None:
    if old == new:
        return
    if isinstance(new, dict) and isinstance(old, dict | None) and kind.form in ("struct", "map") and not kind.atomic:
        _compare_fields(old, new, kind, path, changed, removed)
    elif isinstance(new, list) and isinstance(old, list | None) and kind.list_type in ("map", "set"):
        _compare_items(old, new, kind, path, changed, removed)
    else:
        changed.add(path)


def _compare_fields(
    old: Object | None, new: Object, kind: Type, path: Path, changed: set[Path], removed: set[Path]
) -> None:
    before = old or {}
    if path and (old is None or not new) and not (old is None and _is_value(path)):
        changed.add(path)
    for key, value in new.items():
        _compare(before.get(key), value, fieldset.inner(kind, key), (*path, f"f:{key}"), changed, removed)
    for key in before.keys() - new.keys():
        removed.add((*path, f"f:{key}"))


def _is_value(path: Path) -> bool:
    """In an empty object already; what is in a list's item is not."""
    return path[-1][2:] in VALUES and all(part.startswith("f:") for part in path)


def _compare_items(
    old: list[Any] | None, new: list[Any], kind: Type, path: Path, changed: set[Path], removed: set[Path]
) -> None:
    keyed = kind.list_type == "map"
    before, after = ({_key(item, kind, keyed): item for item in items} for items in (old or (), new))
    if old is None and path[-1] not in _REQUIRED_LISTS:
        changed.add(path)
    for key, item in after.items():
        where = (*path, key)
        if key not in before:
            changed.add(where)
        if keyed:
            _compare(before.get(key, {}), item, kind.element or ANY, where, changed, removed)
    for key in before.keys() - after.keys():
        removed.add((*path, key))


_REQUIRED_LISTS = ("f:containers",)  # in Go's JSON they are there even when empty


def _key(item: Any, kind: Type, keyed: bool) -> str:
    return fieldset.key_of(item, kind) if keyed else fieldset.value_key(item)
