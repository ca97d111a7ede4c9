"""Server-side apply: a manager says which fields it wants, and gives up those it no longer names.

Upstream: staging/src/k8s.io/apimachinery/pkg/util/managedfields and sigs.k8s.io/structured-merge-diff. Simpler here:
only appliers are tracked in managedFields. So two appliers conflict over a field as upstream's do, but a field that
was changed by an ordinary update in between is set again without a conflict.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from kubelab.cluster.apiserver import errors, fieldset
from kubelab.cluster.apiserver.fielderrors import required
from kubelab.cluster.apiserver.fieldset import Path
from kubelab.cluster.apiserver.schema import ANY, Type
from kubelab.cluster.resources import Resource

Object = dict[str, Any]
# What names an object is nobody's field.
NOT_OWNED: set[Path] = {("f:apiVersion",), ("f:kind",), ("f:metadata", "f:name"), ("f:metadata", "f:namespace")}


@dataclass(frozen=True)
class Applied:
    """The new object, managedFields included, and whose fields it sets to something else: manager -> paths."""

    obj: Object
    conflicts: dict[str, set[Path]]


def apply(current: Object | None, config: Object, kind: Type, manager: str, now: str) -> Applied:
    """`current` (None: a new object) with `config` applied by `manager`. Whether a conflict matters is the caller's."""
    if (config.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    wanted = fieldset.of(config, kind) - NOT_OWNED
    result: Object = copy.deepcopy(current) if current is not None else {"metadata": {}}
    entries = {entry["manager"]: entry for entry in result["metadata"].pop("managedFields", [])}
    owners = {name: fieldset.from_fields_v1(entry.get("fieldsV1") or {}) for name, entry in entries.items()}
    before = owners.pop(manager, set())
    contested = {path for path in wanted if _differs(result, config, path, kind)}
    conflicts = {name: paths & contested for name, paths in owners.items() if paths & contested}
    _give_up(result, before - wanted, wanted.union(*owners.values()), kind)
    result = merge(result, config, kind)
    owners = {name: paths - contested for name, paths in owners.items()} | {manager: wanted}
    version = config.get("apiVersion", "")
    managed = [_entry(name, owners[name], version, now, entries.get(name)) for name in sorted(owners) if owners[name]]
    result["metadata"]["managedFields"] = managed
    return Applied(result, conflicts)


def _give_up(obj: Object, unnamed: set[Path], owned: set[Path], kind: Type) -> None:
    """Remove what its manager no longer names, unless somebody has it, or something in it. A list's item goes whole."""
    for path in sorted(unnamed, key=len):
        if not any(other[: len(path)] == path for other in owned):
            fieldset.remove(obj, path, kind)


def conflict(conflicts: dict[str, set[Path]], resource: Resource, name: str) -> errors.StatusError:
    """409, naming every field and whose it is."""
    parts, causes = [], []
    for manager, paths in sorted(conflicts.items()):
        words = f'conflict with "{manager}" using {resource.api_version}'
        fields = sorted(map(fieldset.text, paths))
        parts.append(f"{words}: {fields[0]}" if len(fields) == 1 else f"{words}:\n- " + "\n- ".join(fields))
        causes += [{"reason": "FieldManagerConflict", "message": words, "field": field} for field in fields]
    count = f"{len(causes)} conflict{'s' if len(causes) > 1 else ''}"
    details = {"name": name, "group": resource.group, "kind": resource.plural, "causes": causes}
    return errors.StatusError(409, "Conflict", f"Apply failed with {count}: {'; '.join(parts)}", details)


def manager_required() -> errors.StatusError:
    problem = required("fieldManager", "is required for apply patch")
    return errors.invalid("PatchOptions", "meta.k8s.io", "", [problem])


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


def _entry(manager: str, paths: set[Path], api_version: str, now: str, before: Object | None) -> Object:
    fields = fieldset.to_fields_v1(paths)
    if before is not None and before["fieldsV1"] == fields:
        return before  # nothing new, so the time stays and an apply without effect changes nothing
    return {
        "manager": manager,
        "operation": "Apply",
        "apiVersion": api_version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
