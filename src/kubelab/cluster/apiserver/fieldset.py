"""Sets of fields: which ones an applied configuration names, and FieldsV1, the form they are kept in.

Upstream: sigs.k8s.io/structured-merge-diff (fieldpath). A path is a tuple of FieldsV1 keys, such as
`("f:spec", "f:containers", 'k:{"name":"c"}', "f:image")`.
"""

from __future__ import annotations

from typing import Any

import orjson

from kubelab.cluster.apiserver.schema import ANY, Type

Path = tuple[str, ...]
DEFAULT_KEYS = {"protocol": "TCP"}  # list keys that may be left out, with their defaults


def of(value: Any, kind: Type, path: Path = ()) -> set[Path]:
    """The leaves that a configuration sets, and the list items that it brings."""
    if isinstance(value, dict) and value and _granular(kind):
        fields = ((f"f:{key}", item, inner(kind, key)) for key, item in value.items())
        return {leaf for step, item, type_ in fields for leaf in of(item, type_, (*path, step))}
    if isinstance(value, list) and value and kind.list_type == "set":
        return {(*path, value_key(item)) for item in value}
    if isinstance(value, list) and value and kind.list_type == "map":
        found: set[Path] = set()
        for item in value:
            at = (*path, key_of(item, kind))
            found |= {at} | of(item, kind.element or ANY, at)
        return found
    return {path}


def _granular(kind: Type) -> bool:
    return kind.form in ("struct", "map") and not kind.atomic


def inner(kind: Type, key: str) -> Type:
    """The type of a field of a struct or of a map's values."""
    return kind.fields.get(key, ANY) if kind.form == "struct" else (kind.element or ANY)


def key_of(item: Any, kind: Type) -> str:
    """The FieldsV1 key of an item of a list with keys."""
    keys = {key: item[key] if key in item else DEFAULT_KEYS.get(key) for key in kind.map_keys}
    known = {key: value for key, value in keys.items() if value is not None}
    return "k:" + orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode()


def value_key(item: Any) -> str:
    """The FieldsV1 key of a member of a set."""
    return "v:" + orjson.dumps(item).decode()


def find(obj: Any, path: Path, kind: Type) -> Any:
    """The value at a path; None where there is none."""
    for step in path:
        if obj is None:
            return None
        if step.startswith("f:"):
            obj = obj.get(step[2:]) if isinstance(obj, dict) else None
            kind = inner(kind, step[2:])
        elif step.startswith("k:"):
            obj = next((item for item in obj if key_of(item, kind) == step), None)
            kind = kind.element or ANY
        else:
            value = orjson.loads(step[2:])
            obj = value if value in obj else None
    return obj


def remove(obj: Any, path: Path, kind: Type) -> None:
    """Take what is at a path out of the object."""
    *parents, last = path
    node = find(obj, tuple(parents), kind)
    for step in parents:
        kind = inner(kind, step[2:]) if step.startswith("f:") else (kind.element or ANY)
    if isinstance(node, dict):
        node.pop(last[2:], None)
    elif isinstance(node, list) and last.startswith("k:"):
        node[:] = [item for item in node if key_of(item, kind) != last]
    elif isinstance(node, list):
        node[:] = [item for item in node if item != orjson.loads(last[2:])]


def to_fields_v1(paths: set[Path]) -> dict[str, Any]:
    """The trie that managedFields hold."""
    root: dict[str, Any] = {}
    nodes = []
    for path in paths:
        node = root
        for step in path:
            node = node.setdefault(step, {})
        nodes.append((path, node))
    for path, node in nodes:
        if node or path[-1].startswith("k:"):
            node["."] = {}  # the thing itself, beside what is in it
    return _sorted(root)


def _sorted(trie: dict[str, Any]) -> dict[str, Any]:
    return {step: _sorted(trie[step]) for step in sorted(trie)}


def from_fields_v1(trie: dict[str, Any], path: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for step, below in trie.items():
        if step == ".":
            found.add(path)
        elif below:
            found |= from_fields_v1(below, (*path, step))
        else:
            found.add((*path, step))
    return found


def text(path: Path) -> str:
    """As messages write it: `.spec.containers[name="c"].image`."""
    parts = []
    for step in path:
        if step.startswith("f:"):
            parts.append(f".{step[2:]}")
        elif step.startswith("k:"):
            keys = orjson.loads(step[2:])
            parts.append("[" + ",".join(f"{k}={orjson.dumps(v).decode()}" for k, v in keys.items()) + "]")
        else:
            parts.append(f"[={step[2:]}]")
    return "".join(parts)
