"""metadata: what the server fills in, what stays as it was, and what is valid.

Upstream: staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go and apiserver's pkg/registry/rest/meta.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelab.cluster.apiserver import names
from kubelab.cluster.apiserver.fielderrors import FieldError, forbidden, invalid, required, too_long
from kubelab.cluster.resources import Resource

Object = dict[str, Any]
MAX_ANNOTATIONS = 256 * 1024
SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
FINALIZERS = ("orphan", "foregroundDeletion")  # metav1.FinalizerOrphanDependents, FinalizerDeleteDependents
IMMUTABLE = "field is immutable"


def fill(obj: Object, namespace: str, now: str, uid: str) -> None:
    """What the system sets on create, whatever was sent."""
    meta = obj["metadata"]
    for system in (*SYSTEM_FIELDS, "selfLink"):
        meta.pop(system, None)
    if namespace:
        meta["namespace"] = namespace
    else:
        meta.pop("namespace", None)
    meta["uid"], meta["creationTimestamp"] = uid, now


def carry_over(obj: Object, old: Object, *, applied: bool) -> None:
    """On an update the system's fields are the old object's; so are managedFields, which only appliers change."""
    meta, before = obj["metadata"], old["metadata"]
    managed = () if applied else ("managedFields",)
    for system in ("name", "namespace", "resourceVersion", "generateName", *SYSTEM_FIELDS, *managed):
        if system in before:
            meta[system] = before[system]
        else:
            meta.pop(system, None)
    meta.pop("selfLink", None)


def ordered(obj: Object) -> Object:
    """The object with apiVersion, kind and metadata in front, which is how people read it."""
    front = {key: obj[key] for key in ("apiVersion", "kind", "metadata") if key in obj}
    return front | obj


def validate(obj: Object, resource: Resource, name_rule: Callable[[str], list[str]]) -> list[FieldError]:
    meta = obj["metadata"]
    problems: list[FieldError] = []
    if generate := meta.get("generateName"):
        stem = generate[:-1] if generate.endswith("-") else generate
        problems += [invalid("metadata.generateName", generate, text) for text in name_rule(stem + "a"[: not stem])]
    if not meta.get("name"):
        problems.append(required("metadata.name", "name or generateName is required"))
    else:
        problems += [invalid("metadata.name", meta["name"], text) for text in name_rule(meta["name"])]
    return problems + _common(meta)


def validate_update(obj: Object, old: Object, resource: Resource) -> list[FieldError]:
    meta, before = obj["metadata"], old["metadata"]
    problems = _common(meta)
    if before.get("deletionTimestamp"):
        added = set(meta.get("finalizers") or ()) - set(before.get("finalizers") or ())
        if added:
            text = f"no new finalizers can be added if the object is being deleted, found new finalizers {_go(added)}"
            problems.append(forbidden("metadata.finalizers", text))
    return problems


def resource_version_required() -> FieldError:
    """For kinds that may only be updated by someone who has read them."""
    return FieldError(
        "metadata.resourceVersion", "FieldValueInvalid", "Invalid value: 0x0: must be specified for an update"
    )


def labels(found: dict[str, str] | None, path: str) -> list[FieldError]:
    """The rules of labels, wherever a map of them stands."""
    problems: list[FieldError] = []
    for key, value in (found or {}).items():
        problems += [invalid(path, key, text) for text in names.qualified_name(key)]
        problems += [invalid(path, value, text) for text in names.label_value(value)]
    return problems


def annotations(found: dict[str, str] | None, path: str) -> list[FieldError]:
    problems = [invalid(path, key, text) for key in found or {} for text in names.qualified_name(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in (found or {}).items()) > MAX_ANNOTATIONS:
        problems.append(too_long(path, MAX_ANNOTATIONS))
    return problems


def _common(meta: Object) -> list[FieldError]:
    return [
        *labels(meta.get("labels"), "metadata.labels"),
        *annotations(meta.get("annotations"), "metadata.annotations"),
        *_owners(meta.get("ownerReferences") or [], "metadata.ownerReferences"),
        *_finalizers(meta.get("finalizers") or [], "metadata.finalizers"),
    ]


def _owners(owners: list[Object], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    controllers = [o for o in owners if o.get("controller")]
    for index, owner in enumerate(owners):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                problems.append(required(f"{path}[{index}].{key}", "must not be empty"))
    if len(controllers) > 1:
        first, second = (f"{o.get('kind')}/{o.get('name')}" for o in controllers[:2])
        text = (
            f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        )
        problems.append(FieldError(path, "FieldValueInvalid", f"Invalid value: {_go_owner(owners)}: {text}"))
    return problems


def _finalizers(found: list[str], path: str) -> list[FieldError]:
    problems: list[FieldError] = []
    for index, name in enumerate(found):
        where = f"{path}[{index}]"
        problems += [invalid(where, name, text) for text in names.qualified_name(name)]
        if not problems and "/" not in name and name not in (*FINALIZERS, "kubernetes"):
            problems.append(invalid(where, name, "name is neither a standard finalizer name nor is it fully qualified"))
    if set(FINALIZERS) <= set(found):
        text = f"finalizer {FINALIZERS[0]} and {FINALIZERS[1]} cannot be both set"
        problems.append(invalid(path, _go(found), text))
    return problems


def _go(strings: set[str] | list[str]) -> str:
    return "[]string{" + ", ".join(f'"{text}"' for text in sorted(strings)) + "}"


def _go_owner(owners: list[Object]) -> str:
    return "[]v1.OwnerReference{" + ", ".join(f"{o.get('kind')}/{o.get('name')}" for o in owners) + "}"
